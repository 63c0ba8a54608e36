import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test } from '@jest/globals';
import ts from 'typescript';
import { parse, parseAllDocuments } from 'yaml';
import { type Duration, describeSettings, loadSettings, toMilliseconds } from '#config';
import { Contracts } from '#jobs';
import { root } from '#testing/services';
import * as contracts from '../../libs/contracts/src/index.js';
import { readParts } from '../../scripts/remove.js';

// What can be seen without a cluster. Kustomize itself is run where kubectl is there.

interface Kustomization {
  resources?: string[];
  components?: string[];
  images?: { name: string }[];
  patches?: { patch: string }[];
}
interface Probe {
  httpGet: { path: string; port: string };
}
interface Pod {
  automountServiceAccountToken: boolean;
  securityContext: Record<string, unknown>;
  terminationGracePeriodSeconds?: number;
  containers: {
    image: string;
    command?: string[];
    env: { name: string; value?: string }[];
    ports?: { name: string }[];
    resources: { limits: { memory: string } };
    securityContext: unknown;
    livenessProbe?: Probe;
    readinessProbe?: Probe;
    startupProbe?: Probe;
  }[];
}
interface PodTemplate {
  metadata: { labels: Record<string, string> };
  spec: Pod;
}
interface Trigger {
  metadata: Record<string, string>;
  authenticationRef: { name: string };
}
interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string };
  spec: {
    template?: PodTemplate;
    strategy?: unknown;
    jobTargetRef?: { template: PodTemplate };
    selector?: Record<string, unknown>;
    podSelector?: { matchLabels: Record<string, string> };
    triggers?: Trigger[];
    scaleTargetRef?: { name: string };
  };
}

const deploy = join(root, 'deploy');
const paths = (await readdir(deploy, { recursive: true })).filter((path) => path.endsWith('.yaml')).sort();
const kustomizations = new Map<string, Kustomization>();
const manifests: Manifest[] = [];
for (const path of paths) {
  const text = await readFile(join(deploy, path), 'utf8');
  if (path.endsWith('kustomization.yaml')) kustomizations.set(dirname(path), parse(text));
  else for (const document of parseAllDocuments(text)) manifests.push(document.toJS());
}

const named = (kind: string, name: string) =>
  manifests.find((manifest) => manifest.kind === kind && manifest.metadata.name === name)!;
const templates = manifests.flatMap(({ kind, metadata, spec }) => {
  const template = spec?.template ?? spec?.jobTargetRef?.template;
  return template ? [{ name: `${kind}/${metadata.name}`, kind, template }] : [];
});
/** What the kustomizations add to all. */
const COMMON = { 'app.kubernetes.io/name': 'warren' };
/** What the Deployment of workers is told to serve where some queues have workers of their own. */
const autoscaled = kustomizations.get('components/autoscaling')?.patches?.map(({ patch }) => patch) ?? [];
const othersThanOwn = /WORKER_QUEUES, value: '([^']+)'/.exec(autoscaled.join('\n'))?.[1];
const all = new Contracts(contracts);
/** A clone's own may last longer than what ships; anyone who deploys them gives them the time: docs/deployment.md. */
const SHIPPED = readParts(await readFile(join(root, 'docs/removing.md'), 'utf8'));
const settings = new Map(describeSettings().map(({ name, fallback }) => [name, fallback]));

const settingOf = ({ containers }: Pod, name: string) =>
  containers[0]?.env.find((setting) => setting.name === name)?.value;

test('every file is part of a kustomization, and all that one names is there', () => {
  const listed = [...kustomizations].flatMap(([folder, { resources = [], components = [] }]) =>
    [...resources, ...components].map((path) => join(folder, path)),
  );
  expect(listed.filter((path) => !existsSync(join(deploy, path)))).toEqual([]);
  expect(paths.filter((path) => !path.endsWith('kustomization.yaml') && !listed.includes(path))).toEqual([]);
  expect(templates.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['Deployment/warren-api', 'Deployment/warren-worker', 'Job/warren-migration']),
  );
});

test.each(templates)(
  '$name: nobody special, nothing to write to, bounded, no token of the cluster',
  ({ template }) => {
    const { securityContext, automountServiceAccountToken, containers } = template.spec;
    expect(automountServiceAccountToken).toBe(false);
    expect(securityContext).toMatchObject({
      runAsNonRoot: true,
      runAsUser: 1000,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    for (const container of containers) {
      expect(container.securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      expect(container.resources.limits.memory).toMatch(/^\d+[MG]i$/);
    }
  },
);

test.each(templates)(
  '$name: an image that the Dockerfile makes, a program that it holds, settings that there are',
  async ({ template }) => {
    const dockerfile = await readFile(join(root, 'docker/Dockerfile'), 'utf8');
    const targets = [...dockerfile.matchAll(/^FROM app AS (\S+)/gm)].map(([, target]) => `warren-${target}`);
    for (const { image, command, env } of template.spec.containers) {
      expect(targets).toContain(image);
      if (command) {
        const [node, program] = command;
        expect(node).toBe('node');
        const source = program!.replace(/^dist\//, '').replace(/\.js$/, '.ts');
        expect([program, existsSync(join(root, source))]).toEqual([program, true]);
      }
      expect(env.filter(({ name }) => !settings.has(name))).toEqual([]);
      loadSettings(Object.fromEntries(env.flatMap(({ name, value }) => (value ? [[name, value]] : []))));
    }
    for (const { images = [] } of kustomizations.values())
      expect(images.map(({ name }) => name).filter((name) => !targets.includes(name))).toEqual([]);
  },
);

test.each(templates.filter(({ kind }) => kind === 'Deployment'))(
  '$name: alive and ready as docs/http.md has it',
  ({ template }) => {
    for (const { ports, startupProbe, livenessProbe, readinessProbe } of template.spec.containers) {
      const port = ports?.[0]?.name;
      expect([startupProbe, livenessProbe, readinessProbe].map((probe) => probe?.httpGet)).toEqual([
        { path: '/health/live', port },
        { path: '/health/live', port },
        { path: '/health/ready', port },
      ]);
    }
  },
);

test.each(templates.filter(({ kind }) => kind === 'Deployment'))(
  'P16: $name: the old pods go on until the new ones are ready, which wait for the migration by themselves',
  ({ name, template }) => {
    const { strategy } = named('Deployment', name.split('/')[1]!).spec;
    expect(strategy).toEqual({ rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } });
    expect(template.spec).not.toHaveProperty('initContainers');
  },
);

test('selectors find the pods that they are for', () => {
  const labels = templates.map(({ template }) => ({ ...COMMON, ...template.metadata.labels }));
  const selectors = manifests.flatMap(({ kind, metadata, spec }) => {
    if (kind === 'Service') return [[metadata.name, spec.selector]];
    const selector = spec?.podSelector ?? spec?.selector;
    return selector ? [[metadata.name, (selector as { matchLabels: unknown }).matchLabels]] : [];
  }) as [string, Record<string, string>][];
  expect(selectors.length).toBeGreaterThanOrEqual(8);
  for (const [name, selector] of selectors) {
    const found = labels.filter((given) =>
      Object.entries(selector).every(([key, value]) => given[key as keyof typeof given] === value),
    );
    expect([name, found.length > 0]).toEqual([name, true]);
  }
  for (const app of ['warren-api', 'warren-worker']) {
    const { selector, template } = named('Deployment', app).spec;
    expect({ ...COMMON, ...template?.metadata.labels }).toEqual(selector?.matchLabels);
    expect(named('PodDisruptionBudget', app).spec.selector).toEqual(selector);
  }
});

test('every queue is served, whether some have workers of their own or not', () => {
  expect(
    settingOf(named('Deployment', 'warren-worker').spec.template!.spec, 'WORKER_QUEUES'),
  ).toBeUndefined();
  const own = templates
    .filter(({ kind }) => kind === 'ScaledJob')
    .flatMap(({ template }) => settingOf(template.spec, 'WORKER_QUEUES')?.split(',') ?? []);
  expect(own.filter((queue) => !all.queues.has(queue))).toEqual([]);
  expect(othersThanOwn?.split(',') ?? []).toEqual(own.map((queue) => `!${queue}`));
});

test('P8: a pod is given longer to end than the longest job that it may have in flight', () => {
  for (const { template } of templates.filter(({ name }) => /worker|report/.test(name))) {
    const served = settingOf(template.spec, 'WORKER_QUEUES')?.split(',') ?? [...all.queues.keys()];
    const shipped = [...all].filter(({ name, queue }) => SHIPPED.has(name) && served.includes(queue));
    const longest = Math.max(0, ...shipped.map(({ timeout }) => toMilliseconds(timeout)));
    const grace = toMilliseconds(settingOf(template.spec, 'SHUTDOWN_GRACE') as Duration);
    expect(grace).toBeGreaterThanOrEqual(longest);
    expect(template.spec.terminationGracePeriodSeconds! * 1_000).toBeGreaterThan(grace);
  }
});

test('KEDA counts waiting and running jobs of queues that there are, by the prefetch of a worker', () => {
  const { fallback, queues } = loadSettings({}).WORKER_PREFETCH;
  const triggers = manifests.flatMap(({ spec }) => spec?.triggers ?? []);
  const watched = triggers.map(({ metadata }) => metadata.queueName as string);
  // Not each queue has to be: pruning comes once a night, and starts no worker.
  expect(watched.filter((queue) => !all.queues.has(queue))).toEqual([]);
  expect(new Set(watched).size).toBe(watched.length);
  for (const { metadata, authenticationRef } of triggers) {
    const queue = metadata.queueName as string;
    expect(metadata).toEqual({
      protocol: 'http',
      mode: 'QueueLength',
      queueName: queue,
      value: String(queues.get(queue) ?? fallback),
      excludeUnacknowledged: 'false',
    });
    expect(named('TriggerAuthentication', authenticationRef.name)).toBeDefined();
  }
  expect(named('Deployment', named('ScaledObject', 'warren-worker').spec.scaleTargetRef!.name)).toBeDefined();
});

test('Kubernetes knows every field, and takes what stands there', () => {
  const ours = manifests.filter(({ apiVersion }) => !apiVersion.startsWith('keda.sh/'));
  const jobs = manifests.flatMap(({ spec }) => spec?.jobTargetRef ?? []);
  expect(
    problemsOf([...ours, ...jobs.map((spec) => ({ apiVersion: 'batch/v1', kind: 'Job', spec }))]),
  ).toEqual([]);

  const { spec } = named('Deployment', 'warren-api');
  const wrong = [{ replicas: 'two' }, { strategie: {} }];
  expect(
    problemsOf(
      wrong.map((field) => ({ apiVersion: 'apps/v1', kind: 'Deployment', spec: { ...spec, ...field } })),
    ),
  ).toEqual([
    expect.stringContaining("'string' is not assignable to type 'number'"),
    expect.stringContaining("does not exist in type 'DeploymentSpec'"),
  ]);
});

const hasKubectl = spawnSync('kubectl', ['kustomize', '--help']).status === 0;
(hasKubectl ? test.each(['base', 'overlays/production']) : test.skip.each(['base']))(
  'kubectl renders %s',
  (folder) => {
    const { stdout, stderr, status } = spawnSync('kubectl', ['kustomize', join(deploy, folder)], {
      encoding: 'utf8',
    });
    expect([status, stderr]).toEqual([0, '']);
    const rendered = parseAllDocuments(stdout).map((document) => document.toJS() as Manifest);
    expect(rendered.length).toBeGreaterThan(8);
    const worker = rendered.find(
      ({ kind, metadata }) => kind === 'Deployment' && metadata.name === 'warren-worker',
    );
    const queues = settingOf(worker!.spec.template!.spec, 'WORKER_QUEUES');
    expect(queues).toEqual(folder === 'base' ? undefined : othersThanOwn);
  },
);

/**
 * Holds manifests against Kubernetes' schemas, which npm has as types: has TypeScript check each as a literal of its
 * type, where a field that the type does not have is an error too.
 */
function problemsOf(objects: { apiVersion: string; kind: string }[]): string[] {
  const source = objects.map((object, index) => {
    const [version, group = 'core'] = object.apiVersion.split('/').reverse() as [string, string?];
    const module = `kubernetes-types/${group.replace('.k8s.io', '')}/${version}`;
    return `export const m${index}: import('${module}').${object.kind} = ${JSON.stringify(object)};`;
  });
  const file = join(import.meta.dirname, 'manifests.ts');
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    types: [],
    lib: ['lib.es2023.d.ts'],
  };
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile: readSource, getSourceFile } = host;
  host.fileExists = (path) => path === file || fileExists(path);
  host.readFile = (path) => (path === file ? source.join('\n') : readSource(path));
  host.getSourceFile = (path, target, ...rest) =>
    path === file
      ? ts.createSourceFile(path, source.join('\n'), target)
      : getSourceFile(path, target, ...rest);
  return ts
    .getPreEmitDiagnostics(ts.createProgram([file], options, host))
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '));
}
