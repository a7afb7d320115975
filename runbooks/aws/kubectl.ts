/** kubectl, which the operator has, with its context for each region: no client of our own, no credentials of our own. */
import { spawn } from 'node:child_process';
import { kubernetes } from '../../lib/platform/names.ts';

/** Runs in the region's context and the platform's namespace. Rejects with what kubectl wrote. @returns its output. */
export type Kubectl = (
  region: string,
  args: readonly string[],
  signal: AbortSignal,
  /** For `--filename=-`. */
  input?: string | Uint8Array,
) => Promise<string>;

export interface KubectlProgram {
  /** `kubectl`, or what takes its place. */
  readonly command: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Name of the context of a region. */
  readonly contextOf: (region: string) => string;
}

/** A snapshot of Vault goes through one call, and a bound ends what hangs. */
const timeoutMs = 120_000;
const longestOutputBytes = 64 * 1024 * 1024;

export function kubectlProgram({ command, environment, contextOf }: KubectlProgram): Kubectl {
  return (region, args, signal, input) =>
    new Promise((resolve, reject) => {
      const place = ['--context', contextOf(region), '--namespace', kubernetes.namespace];
      // What runs inside a pod takes its own time.
      const bound = args[0] === 'exec' ? [] : ['--request-timeout=10s'];
      const all = [...place, ...bound, ...args];
      const child = spawn(command, all, {
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
        killSignal: 'SIGKILL',
        stdio: ['pipe', 'pipe', 'pipe'],
        ...(environment === undefined ? {} : { env: environment }),
      });
      const output: Buffer[] = [];
      const errors: Buffer[] = [];
      let bytes = 0;
      child.stdout.on('data', (piece: Buffer) => {
        bytes += piece.length;
        if (bytes > longestOutputBytes) child.kill('SIGKILL');
        else output.push(piece);
      });
      child.stderr.on('data', (piece: Buffer) => errors.push(piece));
      // It may end without having read all: its exit code tells.
      child.stdin.on('error', () => undefined);
      child.stdin.end(input);
      child.once('error', reject);
      child.once('close', (code) => {
        if (code === 0) return resolve(Buffer.concat(output).toString());
        const said = Buffer.concat(errors).toString().trim().split('\n').slice(-12).join('\n');
        reject(new Error(`kubectl ${args[0] ?? ''} in ${region} failed: ${said || `exit code ${code}`}`));
      });
    });
}
