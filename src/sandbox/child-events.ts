/**
 * Knowing when to look after running builders: the kernel signals the end of a child, SIGCHLD, and output on a terminal,
 * SIGIO. Both runtimes deliver signals to JavaScript; none of them can wait for a descriptor or a process of ours. A
 * signal may stand for several events, so everybody looks at each; and a slow tick makes up for any that is lost.
 */

const tickMs = 200;

const watchers = new Set<() => void>();
let listening: "not yet" | "for good" = "not yet";
let tick: ReturnType<typeof setInterval> | undefined;

/** To be called before a terminal may signal its first output: without a handler that ends the process, and none is ever taken back. */
export function catchChildSignals(): void {
  if (listening === "for good") return;
  for (const signal of ["SIGCHLD", "SIGIO"] as const) process.on(signal, lookAtAll);
  listening = "for good";
}

/** Calls `look` whenever something may have happened to a child, until the returned function is called. */
export function watchChildren(look: () => void): () => void {
  catchChildSignals();
  watchers.add(look);
  // Signal handlers do not keep the process alive; this does.
  tick ??= setInterval(lookAtAll, tickMs);
  return () => {
    watchers.delete(look);
    if (watchers.size > 0) return;
    clearInterval(tick);
    tick = undefined;
  };
}

function lookAtAll(): void {
  for (const look of [...watchers]) look();
}
