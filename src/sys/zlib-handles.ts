/** What is behind the streams of `node:zlib`, which ssh2 compresses with. */
import { runtime } from "#runtime";

/** Whether they can be used by themselves. */
export const zlibHandles = runtime.zlibHandles;
