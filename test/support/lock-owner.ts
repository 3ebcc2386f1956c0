/** A child process for the lock test: takes the lock given on its command line, says how that went, and stays. */
import { NodeFileSystem } from '../../src/env/node-file-system.js';

const [path = '', owner = ''] = process.argv.slice(2);
const taken = new NodeFileSystem().lock(path, owner);
process.send?.(typeof taken === 'string' ? { lostTo: taken } : { won: owner });
// The channel to the parent keeps the process alive; should the parent end, so does this.
process.on('disconnect', () => process.exit(0));
