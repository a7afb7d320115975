/** The upstream as a process of its own, so that it can be killed. Arguments: name, port. */
import { startUpstream } from './upstream.ts';

const [name = 'an upstream', port = '0'] = process.argv.slice(2);
await startUpstream({ name, port: Number(port), chunkEveryMs: 30 });
