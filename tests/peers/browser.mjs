// A browser that does what it is told, a line of JSON at a time, and answers each with a line of JSON.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { readFileSync } from "node:fs";

const packages = process.argv[2];
const require = createRequire(`${packages}/`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const WITHIN = 30_000;

const browser = await chromium.launch({
  executablePath: process.argv[3],
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
/** That somebody is not signed in is an answer, and no fault of the page. */
const isAnswer = (words) => words.startsWith("Failed to load resource") && words.includes("401");
let page;
let wrong = [];

function ended(doing, within) {
  let timer;
  const late = new Promise((_, fail) => { timer = setTimeout(() => fail(new Error(`nothing came of it within ${within} ms`)), within); });
  return Promise.race([doing, late]).finally(() => clearTimeout(timer));
}

// Whoever asks may be gone before his answer: then the browser goes too, whatever it is at.
async function gone() {
  await browser.close().catch(() => {});
  process.exit(0);
}
process.stdout.on("error", gone);
process.stdin.on("end", gone);

const acts = {
  /** Somebody else's browser: nothing is kept of the one before. */
  async anew({ options }) {
    await page?.context().close();
    // The checker of accessibility is put into the page, which its policy would refuse; `policy` leaves that in force.
    const context = await browser.newContext({ bypassCSP: !options.policy, viewport: { width: options.width ?? 1280, height: options.height ?? 860 }, locale: options.locale ?? "en-GB", colorScheme: options.scheme ?? "light" });
    page = await context.newPage();
    page.setDefaultTimeout(WITHIN);
    wrong = [];
    page.on("pageerror", (error) => wrong.push(error.message));
    page.on("console", (said) => said.type() === "error" && !isAnswer(said.text()) && wrong.push(said.text()));
    page.on("dialog", (dialog) => { wrong.push(`a dialog says ${dialog.message()}`); dialog.dismiss(); });
  },
  open: ({ url }) => page.goto(url).then(() => {}),
  click: ({ on }) => page.click(on),
  fill: ({ on, text }) => page.fill(on, text),
  /** What somebody gets who follows a link to a file. */
  async download({ on }) {
    const [file] = await Promise.all([page.waitForEvent("download"), page.click(on)]);
    return { name: file.suggestedFilename(), text: readFileSync(await file.path(), "utf8") };
  },
  choose: ({ on, value }) => page.selectOption(on, value).then(() => {}),
  press: ({ key }) => page.keyboard.press(key),
  /** Goes on from field to field until this one has the keyboard, as somebody without a mouse does. */
  async reach({ on }) {
    for (let steps = 0; steps < 300; steps += 1) {
      if (await page.locator(on).first().evaluate((one) => one === document.activeElement)) return;
      await page.keyboard.press("Tab");
    }
    throw new Error(`the keyboard does not come to ${on}`);
  },
  type: ({ text }) => page.keyboard.type(text),
  see: ({ on, words }) => page.locator(on, words ? { hasText: words } : {}).first().waitFor({ state: "visible" }),
  gone: ({ on, words }) => page.locator(on, words ? { hasText: words } : {}).first().waitFor({ state: "hidden" }),
  text: ({ on }) => page.locator(on).first().innerText(),
  count: ({ on }) => page.locator(on).count(),
  /** A script that waits for what never comes is ended like everything else that waits. */
  run: ({ code, within }) => ended(page.evaluate(code), within ?? WITHIN),
  shot: ({ to }) => page.screenshot({ path: to }).then(() => {}),
  wrong: async () => wrong,
  /** What axe finds that is serious, and whether the page is wider than its window. */
  async flaws() {
    await page.evaluate(axe);
    const found = await page.evaluate(() => axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"] }));
    const flaws = found.violations.filter(({ impact }) => impact === "serious" || impact === "critical")
      .map(({ id, nodes }) => `${id}: ${nodes[0].html.slice(0, 200)}`);
    const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    return wider > 0 ? [...flaws, `the page is ${wider} pixels wider than its window`] : flaws;
  },
};

process.stdout.write("ready\n");
for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  let answer;
  try {
    answer = { done: (await acts[asked.do](asked)) ?? null };
  } catch (error) {
    const shown = await page?.locator("body").innerText().catch(() => "");
    answer = { failed: `${error.message}\nat ${page?.url()}\n${wrong.join("\n")}\nthe page shows:\n${shown}` };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
