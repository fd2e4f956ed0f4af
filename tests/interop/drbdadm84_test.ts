/**
 * Dry runs and script helpers beside those of the real drbdadm of 8.4, which
 * needs no kernel module for them.
 *
 * @module
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Finished, run } from "../helpers/child.ts";
import { Scope } from "../helpers/scope.ts";

/** Where Debian's drbd-utils puts it. */
const REAL = "/lib/drbd/drbdadm-84";
const OURS = fileURLToPath(
  new URL("../../infra/bin/drbdadm", import.meta.url),
);

const hasReal = await Deno.stat(REAL).then(() => true, () => false);
if (!hasReal) {
  // Said once, where the tests below are skipped.
  await Deno.stderr.write(
    new TextEncoder().encode(`skipped: ${REAL} is not installed\n`),
  );
}

const CONFIG = `global { usage-count no; disable-ip-verification; }
common { protocol C; disk { on-io-error detach; } syncer { rate 1024M; } }
resource mysql {
  protocol C; meta-disk internal; device /dev/drbd1;
  syncer { verify-alg sha1; }
  net { allow-two-primaries; timeout 61; }
  on ha-node1 { disk /dev/data/mysql; address 192.168.8.51:7789; }
  on ha-node2 { disk /dev/data/mysql; address 192.168.8.52:7789; }
}
resource web {
  net { after-sb-0pri discard-zero-changes; }
  on ha-node1 {
    address ipv6 [fd00::1]:7790;
    volume 0 { device /dev/drbd4; disk /dev/data/web0; meta-disk internal; }
    volume 1 { device /dev/drbd5; disk /dev/data/web1; meta-disk /dev/md[1]; }
  }
  on ha-node2 {
    address ipv6 [fd00::2]:7790;
    volume 0 { device /dev/drbd4; disk /dev/data/web0; meta-disk internal; }
    volume 1 { device /dev/drbd5; disk /dev/data/web1; meta-disk /dev/md[1]; }
  }
}
`;

const COMMANDS = [
  "-d up all",
  "-d up mysql",
  "-d up web/1",
  "-d down all",
  "-d attach web",
  "-d detach mysql",
  "-d -- --force primary mysql",
  "-d primary --force web/1",
  "-d secondary all",
  "-d connect --discard-my-data mysql",
  "-d disconnect mysql",
  "-d disconnect --force mysql",
  "-d invalidate mysql",
  "-d invalidate-remote mysql",
  "-d outdate mysql",
  "-d verify mysql",
  "-d pause-sync mysql",
  "-d resume-sync web/0",
  "-d suspend-io mysql",
  "-d resume-io mysql",
  "-d new-current-uuid --clear-bitmap mysql",
  "-d create-md web",
  "-d -- --force create-md mysql",
  "-d dump-md mysql",
  "-d get-gi mysql",
  "-d apply-al mysql",
  "-d wipe-md mysql",
  "-d role mysql",
  "-d cstate all",
  "-d dstate mysql",
  "-d wait-connect mysql",
  "-d status mysql",
  "-d adjust mysql",
  "sh-resources",
  "sh-resource mysql",
  "sh-dev web",
  "sh-minor all",
  "sh-ll-dev all",
  "sh-md-dev all",
  "sh-md-idx web",
  "sh-ip all",
  "sh-udev minor-5",
  "sh-udev mysql",
  "sh-resource minor-1",
  "sh-dev minor-4",
  "-d secondary minor-5",
  "-d net-options mysql",
  "-d disk-options web/1",
  "-d resource-options web",
  "dump-xml web mysql",
  "sh-mod-parms",
  "sh-nop",
];

async function withConfig(
  play: (
    ours: (line: string) => Promise<Finished>,
    real: (line: string) => Promise<Finished>,
  ) => Promise<void>,
): Promise<void> {
  await using scope = new Scope();
  const dir = await scope.tempDir();
  const config = join(dir, "drbd.conf");
  await Deno.writeTextFile(config, CONFIG);
  const words = (line: string) => ["-c", config, ...line.split(" ")];
  const env = {
    DRBD_DRIVER_VERSION_OVERRIDE: "8.4.11",
    DRBD_DONT_WARN_ON_VERSION_MISMATCH: "1",
    __DRBD_NODE__: "ha-node1",
    KEDGE_RUN_DIR: join(dir, "run"),
    KEDGE_DENO: Deno.execPath(),
  };
  await play(
    (line) => run([OURS, ...words(line)], { env }),
    (line) => run([REAL, ...words(line)], { env }),
  );
}

/** Without the program's folder; options in a fixed order. */
function comparable(text: string): string[] {
  return text.trimEnd().split("\n").map((line) => {
    const words = line.replace(/^\S*\/(drbdsetup)-84/, "$1").split(" ");
    const isOption = (word: string) => word.startsWith("--");
    return [
      ...words.filter((word) => !isOption(word)),
      ...words.filter(isOption).sort(),
    ].join(" ");
  });
}

Deno.test({
  name: "drbdadm does what the real drbdadm of 8.4 would do",
  ignore: !hasReal,
  fn: () =>
    withConfig(async (ours, real) => {
      for (const line of COMMANDS) {
        const [mine, theirs] = await Promise.all([ours(line), real(line)]);
        assert.deepEqual(
          comparable(mine.stdout),
          comparable(theirs.stdout),
          `drbdadm ${line}: ${mine.stderr}`,
        );
        assert.equal(mine.code, theirs.code, `drbdadm ${line}`);
      }
    }),
});

Deno.test({
  name: "drbdadm refuses as the real drbdadm of 8.4 does",
  ignore: !hasReal,
  fn: () =>
    withConfig(async (ours, real) => {
      for (const line of ["nosuch", "primary", "up nosuchres", "up web/7"]) {
        const [mine, theirs] = await Promise.all([ours(line), real(line)]);
        assert.equal(mine.code, theirs.code, `${line}: ${mine.stderr}`);
      }
      const { stderr } = await ours("role nosuchres");
      assert.equal(
        stderr,
        "'nosuchres' not defined in your config (for this host).\n",
      );
    }),
});
