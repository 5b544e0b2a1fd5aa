/** A real terminal that can be resized and looked at: a program in a tmux of its own. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

export const hasTmux = spawnSync("tmux", ["-V"]).status === 0;

export interface TmuxTerminal {
  resize(columns: number, rows: number): void;
  /** A key as tmux names it, such as `C-c`. */
  press(key: string): void;
  /** The rows of the screen, without those at its end that are blank. */
  screen(): string[];
  /** The screen as soon as `isRight` says so, or as it is after some seconds, for the assertion to fail on. */
  screenWhen(isRight: (rows: readonly string[]) => boolean): Promise<string[]>;
  /** Is the cursor shown, and in which column? */
  cursor(): { readonly shown: boolean; readonly column: number };
  [Symbol.dispose](): void;
}

const patienceMs = 15_000;

/** Runs a command line of sh; when it is over, `<exit STATUS>` is printed. */
export function openTmux(
  command: string,
  { columns, rows, env = {} }: { columns: number; rows: number; env?: NodeJS.ProcessEnv },
): TmuxTerminal {
  const dir = mkdtempSync(join(tmpdir(), "silo-tmux-"));
  const script = join(dir, "script");
  writeFileSync(script, `trap : INT\n${command}\nprintf '<exit %s>' $?\nexec sleep 60\n`);
  const { CI: _ci, NO_COLOR: _colour, TMUX: _tmux, STY: _sty, ...inherited } = process.env;
  const tmux = (...args: string[]) =>
    execFileSync("tmux", ["-u", "-S", join(dir, "socket"), "-f", "/dev/null", ...args], {
      encoding: "utf8",
      env: { ...inherited, LC_ALL: "C.UTF-8", TERM: "xterm-256color", ...env },
    });
  tmux("new-session", "-d", "-x", String(columns), "-y", String(rows), `sh ${script}`);
  const screen = () => tmux("capture-pane", "-p").replace(/\n+$/, "").split("\n");
  return {
    resize: (width, height) => void tmux("resize-window", "-x", String(width), "-y", String(height)),
    press: (key) => void tmux("send-keys", key),
    screen,
    async screenWhen(isRight) {
      for (const end = Date.now() + patienceMs; ; await delay(20)) {
        const seen = screen();
        if (isRight(seen) || Date.now() > end) return seen;
      }
    },
    cursor() {
      const [flag, column] = tmux("display-message", "-p", "#{cursor_flag} #{cursor_x}").trim().split(" ");
      return { shown: flag === "1", column: Number(column) };
    },
    [Symbol.dispose]() {
      tmux("kill-server");
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
