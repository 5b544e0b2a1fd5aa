/**
 * The activities that frame a run: realising, and in it builds and copies with their counts. Counts change in bursts, and
 * are told once a burst.
 */
import type { Activity, Reporter } from "../store/reporter.ts";

class Counts {
  done = 0;
  expected = 0;
  running = 0;
  failed = 0;
}

export class BuildProgress {
  readonly builds = new Counts();
  readonly substitutions = new Counts();
  /** Bytes. */
  expectedDownload = 0;
  expectedNar = 0;
  private readonly realise: Activity;
  private readonly buildsActivity: Activity;
  private readonly copiesActivity: Activity;
  private state: "told" | "changed" | "over" = "told";

  constructor(reporter: Reporter) {
    this.realise = reporter.start({ kind: "realise", level: "error", text: "" });
    this.buildsActivity = reporter.start({ kind: "builds", level: "error", text: "" });
    this.copiesActivity = reporter.start({ kind: "copy-paths", level: "error", text: "" });
  }

  changed(): void {
    if (this.state !== "told") return;
    this.state = "changed";
    queueMicrotask(() => this.tell());
  }

  stop(): void {
    this.tell();
    this.state = "over";
    this.copiesActivity.stop();
    this.buildsActivity.stop();
    this.realise.stop();
  }

  private tell(): void {
    if (this.state !== "changed") return;
    this.state = "told";
    this.buildsActivity.result(progressOf(this.builds));
    this.copiesActivity.result(progressOf(this.substitutions));
    this.realise.result({ kind: "set-expected", of: "file-transfer", expected: this.expectedDownload });
    this.realise.result({ kind: "set-expected", of: "copy-path", expected: this.expectedNar });
  }
}

function progressOf({ done, expected, running, failed }: Counts) {
  return { kind: "progress", done, expected: expected + done, running, failed } as const;
}
