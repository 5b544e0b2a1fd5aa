/** The parts of ssh2 that silo uses; the package brings no types. */
declare module "ssh2" {
  import type { EventEmitter } from "node:events";
  import type { Duplex, Readable } from "node:stream";

  export interface ParsedKey {
    /** Such as `ssh-ed25519`. */
    readonly type: string;
    isPrivateKey(): boolean;
    getPublicSSH(): Buffer;
  }

  export type AuthMethod =
    | { readonly type: "none"; readonly username: string }
    | { readonly type: "publickey"; readonly username: string; readonly key: ParsedKey }
    | { readonly type: "agent"; readonly username: string; readonly agent: BaseAgent };

  export interface ConnectConfig {
    readonly sock: Duplex;
    readonly username: string;
    /** Milliseconds. */
    readonly readyTimeout: number;
    readonly keepaliveInterval: number;
    readonly keepaliveCountMax: number;
    readonly algorithms: {
      readonly cipher: readonly string[];
      readonly serverHostKey: readonly string[];
      readonly compress: readonly string[];
    };
    hostVerifier(key: Buffer): boolean;
    authHandler(methodsLeft: readonly string[] | null, partialSuccess: boolean | null): AuthMethod | false;
  }

  export interface ClientChannel extends Duplex {
    readonly stderr: Readable;
    close(): void;
    signal(name: string): void;
    on(event: "exit", listener: (status: number | null, signal?: string) => void): this;
    on(event: "close" | "end" | "drain", listener: () => void): this;
    on(event: "data", listener: (chunk: Buffer) => void): this;
    on(event: "error", listener: (error: Error) => void): this;
  }

  type WithChannel = (error: Error | undefined, channel: ClientChannel) => void;

  export class Client extends EventEmitter {
    connect(config: ConnectConfig): this;
    exec(command: string, onChannel: WithChannel): this;
    forwardOut(fromHost: string, fromPort: number, toHost: string, toPort: number, onChannel: WithChannel): this;
    end(): this;
    destroy(): this;
    on(event: "ready" | "close" | "end", listener: () => void): this;
    on(event: "error", listener: (error: Error & { level?: string }) => void): this;
  }

  export interface PublicKey extends ParsedKey {}
  type SignOptions = { readonly hash?: string };
  type SignDone = (error: Error | undefined, signature?: Buffer) => void;

  export class BaseAgent {
    getIdentities(done: (error: Error | undefined, keys?: PublicKey[]) => void): void;
    sign(key: PublicKey, data: Buffer, options: SignOptions, done: SignDone): void;
  }

  export function createAgent(socket: string): BaseAgent;

  export const utils: {
    /** An error is returned, not thrown. */
    parseKey(data: Buffer | string, passphrase?: string): ParsedKey | ParsedKey[] | Error;
  };
}
