/** What the handlers of one connection's requests work with. */
import { SiloError } from "../../error.ts";
import type { SyncReader } from "../../formats/codec.ts";
import type { Trust } from "../../formats/settings/client-settings.ts";
import type { StorePath } from "../../formats/store-path.ts";
import type { WireContext } from "../../formats/worker-protocol/wire-type.ts";
import type { BuildService } from "../../store/build-service.ts";
import type { CollectService } from "../../store/collect-service.ts";
import type { ItemSigner } from "../../store/export.ts";
import type { ItemVerifier } from "../../store/import.ts";
import type { LocalStore } from "../../store/local-store.ts";
import type { ClientChannel } from "./client-channel.ts";
import type { ClientReporter } from "./client-reporter.ts";
import type { PathInfoPrefetch } from "../../store/path-info-prefetch.ts";

/** What the daemon has others do. Made anew when the client changes its settings. */
export interface DaemonServices {
  readonly build: BuildService;
  readonly collect: CollectService;
  /** Signs exports as Nix 1 does. @throws when there is no key */
  itemSigner(): ItemSigner;
  /** Checks such signatures; undefined where there is no key. */
  itemVerifier(): ItemVerifier | undefined;
  /** Keeps the log of a build that was made elsewhere. */
  addBuildLog(drvPath: StorePath, log: Uint8Array): void | Promise<void>;
  /** Ends what was started for them. */
  close(): void;
}

export interface SessionPeer {
  readonly trust: Trust;
  /** Undefined for whoever started us on a pipe. */
  readonly uid: number | undefined;
}

export interface Session {
  readonly context: WireContext;
  readonly input: SyncReader;
  readonly client: ClientChannel;
  readonly reporter: ClientReporter;
  readonly peer: SessionPeer;
  /** With the settings that the client has asked for. */
  readonly store: LocalStore;
  readonly services: DaemonServices;
  readonly infos: PathInfoPrefetch;
  /** Replaces {@link store}; services are made anew when they are needed. */
  useStore(store: LocalStore): Promise<void>;
  /** Runs what waits for others; the signal tells it that the client has gone. */
  interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T>;
  /** Has `send` write what follows the reply. */
  afterReply(send: (onBytes: (bytes: Uint8Array) => void) => void): void;
}

/** Only trusted users may. */
export class NotPrivileged extends SiloError {
  readonly code = "not-privileged";
}

/** @throws NotPrivileged with this message */
export function requireTrusted({ peer }: Pick<Session, "peer">, message: string): void {
  if (peer.trust !== "trusted") throw new NotPrivileged(message);
}
