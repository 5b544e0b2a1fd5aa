/** Every request's handler: from the request, and the data behind it, to the reply. */
import type { SyncReader } from "../../formats/codec.ts";
import type { OperationName, operations, ReplyOf, RequestOf } from "../../formats/worker-protocol/operations.ts";
import { addHandlers } from "./add-handlers.ts";
import { buildHandlers } from "./build-handlers.ts";
import { maintenanceHandlers } from "./maintenance-handlers.ts";
import { queryHandlers } from "./query-handlers.ts";
import { rootHandlers } from "./root-handlers.ts";
import type { Session } from "./session.ts";

type Handler<N extends OperationName> = (
  session: Session,
  request: RequestOf<(typeof operations)[N]>,
  upload: SyncReader,
) => ReplyOf<(typeof operations)[N]> | Promise<ReplyOf<(typeof operations)[N]>>;

/** A handler that throws a SiloError fails the request. */
export type Handlers = { readonly [N in OperationName]: Handler<N> };

export const handlers: Handlers = {
  ...queryHandlers,
  ...addHandlers,
  ...buildHandlers,
  ...rootHandlers,
  ...maintenanceHandlers,
};
