/**
 * What substituters know of paths, asked once a run. Questions that come up together travel together, since each costs a
 * round trip.
 */
import type { StorePath } from "../formats/store-path.ts";
import type { SubstitutablePathInfo, Substituter } from "../store/substituter.ts";

type Answer = Promise<SubstitutablePathInfo | undefined>;

export class SubstituteInfos {
  private readonly bySubstituter = new Map<Substituter, Questions>();

  /** Undefined when the substituter does not have the path. @throws (rejects) what asking throws */
  ask(substituter: Substituter, path: StorePath): Answer {
    let questions = this.bySubstituter.get(substituter);
    if (questions === undefined) {
      questions = new Questions(substituter);
      this.bySubstituter.set(substituter, questions);
    }
    return questions.ask(path);
  }
}

interface Question {
  readonly path: StorePath;
  resolve(info: SubstitutablePathInfo | undefined): void;
  reject(error: unknown): void;
}

class Questions {
  private readonly answers = new Map<StorePath, Answer>();
  private pending: Question[] = [];

  constructor(private readonly substituter: Substituter) {}

  ask(path: StorePath): Answer {
    let answer = this.answers.get(path);
    if (answer === undefined) {
      answer = new Promise((resolve, reject) => {
        if (this.pending.length === 0) setImmediate(() => void this.send());
        this.pending.push({ path, resolve, reject });
      });
      this.answers.set(path, answer);
    }
    return answer;
  }

  private async send(): Promise<void> {
    const sent = this.pending;
    this.pending = [];
    try {
      const infos = await this.substituter.info(sent.map(({ path }) => path));
      for (const { path, resolve } of sent) resolve(infos.get(path));
    } catch (error) {
      for (const { path, reject } of sent) {
        this.answers.delete(path);
        reject(error);
      }
    }
  }
}
