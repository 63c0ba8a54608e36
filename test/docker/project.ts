import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { root } from '#testing/services';

/** What `docker inspect` tells of a container, as far as it is looked at here. */
export interface Container {
  Name: string;
  State: { Status: string; ExitCode: number; Health?: { Status: string } };
  HostConfig: { ReadonlyRootfs: boolean };
  NetworkSettings: { Ports: Record<string, { HostIp: string; HostPort: string }[] | null> };
}

/** compose.yaml as a project of a test's own, as somebody has it who cloned the repository and has no `.env`. */
export interface Project {
  /** With these, commands of one's own find the project. */
  environment: NodeJS.ProcessEnv;
  /** Runs `docker compose …`. @returns what it printed. @throws Error with what it printed when it fails. */
  compose(args: string[], input?: Buffer): Promise<string>;
  /** The containers of a service, those that have ended too. */
  containers(service: string): Promise<Container[]>;
  /** Where a port of a service is published: `http://127.0.0.1:32768`. */
  address(service: string, port: number): Promise<string>;
  /** What is left of the project: containers, volumes, networks. */
  remains(): Promise<string[]>;
}

/** Ports that are free, so that the project meets no other. */
const ports = Object.fromEntries(
  ['PORT', 'RABBITMQ_PORT', 'RABBITMQ_MANAGEMENT_PORT', 'POSTGRES_PORT', 'MAIL_PORT', 'PROMETHEUS_PORT'].map(
    (name) => [name, '0'],
  ),
);

/** Makes a {@link Project} of the tree in a folder; nothing of it runs yet. */
export function givenProject(folder = root): Project {
  const name = `warren-test-${randomBytes(4).toString('hex')}`;
  const { DOCKER_HOST } = process.env;
  const environment = { ...(DOCKER_HOST && { DOCKER_HOST }), ...ports, COMPOSE_PROJECT_NAME: name };
  const docker = (args: string[], input?: Buffer) => runDocker(args, folder, environment, input);
  const compose: Project['compose'] = (args, input) =>
    docker(['compose', '--env-file', '/dev/null', ...args], input);
  const owned = `label=com.docker.compose.project=${name}`;
  return {
    environment,
    compose,
    containers: async (service) => {
      const ids = (await compose(['ps', '--all', '--quiet', service])).split('\n').filter(Boolean);
      return JSON.parse(await docker(['inspect', ...ids]));
    },
    address: async (service, port) => `http://${(await compose(['port', service, String(port)])).trim()}`,
    remains: async () => {
      const lists = await Promise.all([
        docker(['ps', '--all', '--quiet', '--filter', owned]),
        docker(['volume', 'ls', '--quiet', '--filter', owned]),
        docker(['network', 'ls', '--quiet', '--filter', owned]),
      ]);
      return lists.flatMap((list) => list.split('\n').filter(Boolean));
    },
  };
}

async function runDocker(
  args: string[],
  cwd: string,
  environment: NodeJS.ProcessEnv,
  input?: Buffer,
): Promise<string> {
  const { PATH, HOME } = process.env;
  const child = spawn('docker', args, {
    cwd,
    env: { PATH, HOME, ...environment },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const [output, errors, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ]);
  if (code !== 0) throw new Error(`docker ${args.join(' ')} ended with ${code}:\n${output}${errors}`);
  return output;
}
