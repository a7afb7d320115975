/** nginx for tests; `runbooks/lab/nginx.ts` starts it. */
import { findNginx } from '../../runbooks/lab/nginx-binaries.ts';

/** True where nginx can neither be found nor fetched: such tests are skipped. CI has a network, and must not skip. */
export async function nginxIsMissing(): Promise<boolean> {
  try {
    await findNginx();
    return false;
  } catch (error) {
    if (process.env['CI'] !== undefined) throw error;
    process.stdout.write(`skipped: ${error instanceof Error ? error.message : String(error)}\n`);
    return true;
  }
}
