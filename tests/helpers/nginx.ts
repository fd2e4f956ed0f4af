/**
 * The nginx of the distribution, with a configuration that a command printed.
 *
 * @module
 */

import { Child, run } from "./child.ts";
import { eventually } from "./eventually.ts";
import type { Scope } from "./scope.ts";
import { kedgeCommand, loopbackAddress, type Stack } from "./stack.ts";

/** A running nginx in front of a cluster. */
export interface Nginx {
  /** Its base URL. */
  readonly url: string;
  /** Lines of its access log so far. */
  log(): Promise<string[]>;
}

/**
 * Print a configuration with `kedge nginx-config`, let nginx check it, and start
 * it.
 *
 * @param words More words for the command.
 * @throws {Error} With what nginx said, when it does not like it.
 */
export async function startNginx(
  scope: Scope,
  stack: Stack,
  words: readonly string[] = [],
): Promise<Nginx> {
  const dir = await scope.tempDir();
  const listen = `${loopbackAddress()}:8088`;
  const conf = await must(kedgeCommand([
    ...["nginx-config", "--data", stack.data, "--tracker", stack.ready.tracker],
    ...["--listen", listen, "--access-log", `${dir}/access.log`, ...words],
  ]));
  // What is only offered must work, too.
  const all = conf.replace(/# (location ~ "\^\/M)/, "$1");
  await Deno.writeTextFile(`${dir}/kedge.conf`, all);
  await Deno.writeTextFile(`${dir}/nginx.conf`, aroundIt(dir));
  const nginx = ["nginx", "-c", `${dir}/nginx.conf`, "-e", `${dir}/error.log`];
  await must(["nginx", "-t", ...nginx.slice(1)]);
  const child = Child.start(scope, { command: ["nginx", ...nginx.slice(1)] });
  // Killed alone, it would leave its workers behind.
  scope.defer(() => child.stop());
  const url = `http://${listen}`;
  await eventually(async () => {
    if (child.ended) throw new Error(child.text);
    await (await fetch(url)).body?.cancel();
    return true;
  }, { what: "nginx to answer" });
  return {
    url,
    async log() {
      const text = await Deno.readTextFile(`${dir}/access.log`);
      return text.split("\n").filter((line) => line !== "");
    },
  };
}

/** What the distribution's nginx.conf has around `conf.d`, without its paths. */
function aroundIt(dir: string): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${dir}/${name};`).join(" ");
  // The test's folders are for the user of the test alone.
  const user = Deno.uid() === 0 ? "user root;" : "";
  return `${user} daemon off; worker_processes 1; pid ${dir}/nginx.pid;
    events { worker_connections 256; }
    http { sendfile on; tcp_nopush on; types_hash_max_size 2048; gzip on;
      ${temporary} include ${dir}/kedge.conf; }`;
}

async function must(command: readonly [string, ...string[]]): Promise<string> {
  const { code, stdout, stderr } = await run(command);
  if (code === 0) return stdout;
  throw new Error(`${command.join(" ")}: ${code}\n${stderr}`);
}
