/** Lines of a program's output, for whoever awaits the next one. */
import { SiloError } from "../error.ts";

export class ProgramEnded extends SiloError {
  readonly code = "program-ended";
  constructor(readonly program: string) {
    super(`'${program}' died unexpectedly: its output ended`);
  }
}

/** Bytes of a line at most. */
const maxLine = 64 * 1024;

export class LineQueue {
  private readonly lines: string[] = [];
  private rest = "";
  private ended = false;
  private wake: () => void = () => {};

  constructor(
    private readonly program: string,
    stream: NodeJS.ReadableStream,
  ) {
    stream.on("data", (chunk: Buffer) => {
      const lines = (this.rest + chunk.toString("latin1")).split("\n");
      this.rest = lines.pop()!;
      this.lines.push(...lines);
      if (this.rest.length > maxLine) this.ended = true;
      this.wake();
    });
    stream.on("end", () => {
      this.ended = true;
      this.wake();
    });
  }

  /** A byte string, without the line end. @throws ProgramEnded (rejects) when there is no further line */
  async next(): Promise<string> {
    while (this.lines.length === 0) {
      if (this.ended) throw new ProgramEnded(this.program);
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    return this.lines.shift()!;
  }
}
