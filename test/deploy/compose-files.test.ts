import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { type Duration, describeSettings, toMilliseconds } from '#config';
import { root } from '#testing/services';

// What can be seen without a Docker engine; test/docker runs it with one.

interface Service {
  image: string;
  build?: { dockerfile: string; target: string };
  environment?: Record<string, string>;
  ports?: string[];
  healthcheck?: { test?: string[]; disable?: boolean };
  depends_on?: Record<string, { condition: string }>;
  read_only?: boolean;
  cap_drop?: string[];
  security_opt?: string[];
  stop_grace_period?: string;
  develop?: { watch: { path: string }[] };
}

const read = (path: string) => readFile(join(root, path), 'utf8');
// What Compose calls !override and !reset is of no interest here: the value is.
const tags = ['!override', '!reset'].flatMap((tag) => [
  { tag, resolve: () => null },
  { tag, collection: 'map' as const },
]);
const parseCompose = async (path: string) =>
  parse(await read(path), { merge: true, customTags: tags }) as { services: Record<string, Service> };

const { services } = await parseCompose('compose.yaml');
const production = await parseCompose('compose.production.yaml');
const dockerfile = await read('docker/Dockerfile');
const settings = new Map(describeSettings().map(({ name, fallback }) => [name, fallback]));

const apps = ['api', 'worker', 'migrate'].map((name) => [name, services[name]!] as const);
/** The text of each stage of the Dockerfile, by its name. */
const stages = new Map(
  dockerfile
    .split(/^(?=FROM )/m)
    .map((text) => [/^FROM \S+ AS (\S+)/.exec(text)?.[1], text] as const)
    .filter((entry): entry is [string, string] => entry[0] !== undefined),
);

test('every port is published to this machine only', () => {
  const ports = Object.values(services).flatMap(({ ports = [] }) => ports);
  expect(ports.length).toBeGreaterThan(3);
  expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
});

test('every service that stays tells whether it is healthy, and whatever needs it waits for that', () => {
  for (const [name, { healthcheck, build, depends_on = {} }] of Object.entries(services)) {
    const isOneShot = healthcheck?.disable === true;
    const inImage = stages.get(build?.target ?? '')?.includes('HEALTHCHECK');
    expect([name, isOneShot || Boolean(healthcheck?.test) || inImage]).toEqual([name, true]);
    for (const [needed, { condition }] of Object.entries(depends_on)) {
      const expected = services[needed]?.healthcheck?.disable
        ? 'service_completed_successfully'
        : 'service_healthy';
      expect([name, needed, condition]).toEqual([name, needed, expected]);
    }
  }
});

test('P16: both apps are replaced when the migration has ended, in production too', () => {
  for (const name of ['api', 'worker']) {
    const { depends_on = services[name]?.depends_on } = production.services[name]!;
    expect([name, depends_on?.migrate]).toEqual([name, { condition: 'service_completed_successfully' }]);
    expect(services[name]).toMatchObject({ restart: 'unless-stopped' });
  }
});

test('`docker compose watch` follows each app in its own folder, and what both are made of', async () => {
  for (const name of ['api', 'worker']) {
    const paths = services[name]?.develop?.watch.map(({ path }) => path) ?? [];
    expect(paths).toEqual([`apps/${name}`, 'libs', 'package-lock.json']);
    await Promise.all(paths.map((path) => access(join(root, path))));
  }
});

test('images are pinned to a version', () => {
  const upstream = Object.values(services).flatMap(({ image, build }) => (build ? [] : [image]));
  const bases = [...dockerfile.matchAll(/^FROM (\S+)/gm)]
    .map(([, image]) => image as string)
    .filter((image) => !stages.has(image));
  for (const image of [...upstream, ...bases])
    expect(image).toMatch(/^[\w./-]+:v?\d[\w.-]*(@sha256:[0-9a-f]{64})?$/);
});

test('the apps can write nothing but a volume, and are nobody special', () => {
  for (const [name, service] of apps) {
    expect([name, service]).toMatchObject([
      name,
      { read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] },
    ]);
  }
  // The stage that the others are made from, and none of them takes it back.
  expect(stages.get('app')).toMatch(/^USER node$/m);
  expect(dockerfile.match(/^USER /gm)).toHaveLength(1);
});

test('each app is built from its stage of the Dockerfile, with a command that is process 1', () => {
  for (const [name, { image, build }] of apps) {
    expect([name, image]).toEqual([name, `warren-${build?.target}`]);
    // In the form of a list: a shell would keep signals to itself.
    expect(stages.get(build!.target)).toMatch(/^CMD \["node", /m);
  }
});

test('P8: containers are given longer to stop than their jobs in flight', () => {
  const grace = toMilliseconds(settings.get('SHUTDOWN_GRACE') as Duration);
  for (const name of ['api', 'worker'])
    expect(toMilliseconds(services[name]?.stop_grace_period as Duration)).toBeGreaterThanOrEqual(
      grace + 5_000,
    );
});

test('what the apps are given are settings that there are', () => {
  for (const { services: given } of [{ services }, production]) {
    for (const name of ['api', 'worker', 'migrate']) {
      const unknown = Object.keys(given[name]?.environment ?? {}).filter((setting) => !settings.has(setting));
      expect([name, unknown]).toEqual([name, []]);
    }
  }
});

test('in production there is no default for a secret, and nothing but the apps', async () => {
  for (const [name, service] of Object.entries(production.services)) {
    if (service === null) continue;
    const { NODE_ENV, ...given } = service.environment ?? {};
    expect([name, NODE_ENV]).toEqual([name, 'production']);
    for (const value of Object.values(given)) expect(value).toMatch(/^\$\{[A-Z_]+:\?/);
  }
  const others = Object.keys(services).filter((name) => !services[name]?.build && !isOfProfile(name));
  expect(others.map((name) => production.services[name])).toEqual(others.map(() => null));

  const guide = await read('docs/deployment.md');
  const wanted = [...(await read('compose.production.yaml')).matchAll(/\$\{([A-Z_]+):\?/g)];
  for (const [, name] of wanted) expect(guide).toContain(name);
});

const isOfProfile = (name: string) => 'profiles' in services[name]!;

test('the dev container works with the services of compose.yaml, and editors find the debuggers', async () => {
  const container = JSON.parse(await read('.devcontainer/devcontainer.json')) as {
    dockerComposeFile: string[];
    service: string;
    runServices: string[];
    forwardPorts: (number | string)[];
  };
  for (const file of container.dockerComposeFile) await access(join(root, '.devcontainer', file));
  const { services: own } = await parseCompose('.devcontainer/compose.yaml');
  const { environment = {}, depends_on = {} } = own[container.service]!;
  expect(Object.keys(depends_on).sort()).toEqual(container.runServices.toSorted());
  expect(container.runServices.filter((name) => !services[name])).toEqual([]);
  for (const url of Object.values(environment)) expect(url).toMatch(/@(rabbitmq|postgres):\d+/);
  const { configurations } = JSON.parse(await read('.vscode/launch.json')) as {
    configurations: { port?: number }[];
  };
  const attached = configurations.flatMap(({ port = [] }) => port);
  expect(attached).toEqual([9229, 9230]);
  expect(container.forwardPorts).toEqual(expect.arrayContaining(attached));
});
