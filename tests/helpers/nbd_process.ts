/**
 * The NBD server as a process of its own, with plain files behind it.
 *
 * @module
 */

import { Child } from "./child.ts";
import type { Scope } from "./scope.ts";
import { ROOT } from "./stack.ts";

/** A running server. */
export interface NbdProcess {
  readonly child: Child;
  /** TCP port on 127.0.0.1. */
  readonly port: number;
  /** Path of its Unix socket. */
  readonly socket: string;
  /** The image behind the export "disk". */
  readonly image: string;
  /** URI of an export over TCP. */
  uri(name?: string): string;
  /** URI of an export over the Unix socket. */
  unixUri(name?: string): string;
}

/** What to serve. */
export interface NbdProcessOptions {
  /** Size of the export "disk", in bytes. */
  readonly sizeBytes: number;
  /** More arguments: exports `NAME=FILE`, `ro:NAME=FILE`, flags. */
  readonly args?: readonly string[];
}

/** Start one; it ends with the scope. */
export async function startNbdProcess(
  scope: Scope,
  options: NbdProcessOptions,
): Promise<NbdProcess> {
  const dir = await scope.tempDir();
  const image = `${dir}/image`;
  const socket = `${dir}/socket`;
  await Deno.create(image).then((file) => file.close());
  await Deno.truncate(image, options.sizeBytes);
  const child = Child.start(scope, {
    command: [
      Deno.execPath(),
      ...["run", "-A", "--quiet", `${ROOT}tests/helpers/nbd_file_server.ts`],
      ...["--unix", socket, `disk=${image}`, ...options.args ?? []],
    ],
  });
  const { tcp: port } = JSON.parse(await child.line(/"tcp"/)) as {
    readonly tcp: number;
  };
  return {
    child,
    port,
    socket,
    image,
    uri: (name = "disk") => `nbd://127.0.0.1:${port}/${name}`,
    unixUri: (name = "disk") => `nbd+unix:///${name}?socket=${socket}`,
  };
}
