/** What has to be built and fetched, as Nix says it before it begins. */
import { printStorePath, type StorePath } from "../../formats/store-path.ts";
import type { MissingPaths } from "../../store/build-service.ts";
import type { Reporter } from "../../store/reporter.ts";
import type { Store } from "../../store/store.ts";

export function printMissing(reporter: Reporter, store: Store, missing: MissingPaths): void {
  const { willBuild, willSubstitute, unknown, downloadSize, narSize } = missing;
  const say = (line: string) => reporter.message("info", line);
  const list = (paths: readonly StorePath[]) => {
    for (const path of paths) say(`  ${printStorePath(store.storeDir, path)}`);
  };
  if (willBuild.length > 0) {
    say(
      willBuild.length === 1
        ? "this derivation will be built:"
        : `these ${willBuild.length} derivations will be built:`,
    );
    list(store.sortTopologically(willBuild));
  }
  if (willSubstitute.length > 0) {
    const sizes = `(${mebibytes(downloadSize)} download, ${mebibytes(narSize)} unpacked):`;
    const one = willSubstitute.length === 1;
    say(one ? `this path will be fetched ${sizes}` : `these ${willSubstitute.length} paths will be fetched ${sizes}`);
    list(willSubstitute);
  }
  if (unknown.length > 0) {
    say("don't know how to build these paths:");
    list(unknown);
  }
}

function mebibytes(bytes: number): string {
  return `${(bytes / (1024 * 1024)).toFixed(2)} MiB`;
}
