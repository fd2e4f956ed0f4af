import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { TextLineStream } from "@std/streams";
import { eventually } from "../../tests/helpers/eventually.ts";
import { makeLocalTls } from "../cli/start/local_tls.ts";
import { areShort } from "./descriptors.ts";

/** Descriptors that the server may have; Deno itself takes about 25. */
const DESCRIPTORS_MAX = 120;

const program = fileURLToPath(
  new URL("testdata/few_descriptors.ts", import.meta.url),
);

for (const kind of ["http", "https"] as const) {
  Deno.test({
    name: `serve() outlives more connections than descriptors over ${kind}`,
    ignore: Deno.build.os !== "linux",
    async fn() {
      const dir = await Deno.makeTempDir({ prefix: "kedge-test-" });
      const files = await makeLocalTls(dir, []);
      const caCerts = [await Deno.readTextFile(files.caFile ?? "")];
      const tls = kind === "https" ? [files.certFile, files.keyFile] : [];
      const child = new Deno.Command("sh", {
        args: [
          ...["-c", `ulimit -n ${DESCRIPTORS_MAX} && exec "$0" "$@"`],
          ...[Deno.execPath(), "run", "-A", "--quiet", program, ...tls],
        ],
        stdin: "null",
        stdout: "piped",
        stderr: "inherit",
      }).spawn();
      let ended = false;
      void child.status.then(() => ended = true);
      const lines = child.stdout.pipeThrough(new TextDecoderStream())
        .pipeThrough(new TextLineStream()).getReader();
      const idle: Deno.Conn[] = [];
      const client = Deno.createHttpClient({ caCerts, poolMaxIdlePerHost: 0 });
      try {
        const port = Number((await lines.read()).value);
        const url = `${kind}://127.0.0.1:${port}/`;
        // One upload is under way while the others take every descriptor.
        const body = new TransformStream<Uint8Array<ArrayBuffer>>();
        const upload = fetch(url, {
          method: "PUT",
          body: body.readable,
          client,
        });
        upload.catch(() => {}); // awaited below
        const writer = body.writable.getWriter();
        await writer.write(new Uint8Array(10));
        for (let count = 0; count < 2 * DESCRIPTORS_MAX; count++) {
          const conn = await Deno.connect({ hostname: "127.0.0.1", port })
            .catch(() => undefined);
          if (conn !== undefined) idle.push(conn);
        }
        await writer.close();
        assert.equal(await (await upload).text(), "10 bytes");
        if (kind === "http") {
          assert.match(
            (await lines.read()).value ?? "",
            /descriptor|open files/,
          );
        }
        await eventually(
          () =>
            fetch(url, { client, signal: AbortSignal.timeout(2000) })
              .then((answer) => answer.text()),
          { what: "an answer although nobody let go" },
        );
        assert(!ended);
      } finally {
        for (const conn of idle) conn.close();
        client.close();
        await lines.cancel();
        if (!ended) child.kill("SIGKILL");
        await child.status;
        await Deno.remove(dir, { recursive: true });
      }
    },
  });
}

Deno.test("areShort() keeps a reserve for files and peers", () => {
  const table: [number, number, boolean][] = [
    [75, 100, false],
    [76, 100, true],
    [99_744, 100_000, false],
    [99_745, 100_000, true],
  ];
  for (const [open, max, wanted] of table) {
    assert.equal(areShort({ open, max }), wanted);
  }
  assert.equal(areShort(undefined), false);
});
