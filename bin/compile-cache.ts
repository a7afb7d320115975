/**
 * Compiled code is kept from one start to the next, which halves the CPU time until a gateway serves. It lies beside the
 * code, not in the shared temporary folder: whoever can write here can write the code as well. Imported first, so that
 * what commands load later is kept; processes that this one starts inherit it. A folder that cannot be written is no
 * error, and `NODE_COMPILE_CACHE` names another.
 */
import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';

process.env['NODE_COMPILE_CACHE'] ??= fileURLToPath(new URL('../node_modules/.cache/compiled', import.meta.url));
enableCompileCache(process.env['NODE_COMPILE_CACHE']);
