// Steps of the page's test in Chromium: one command a line on standard input, one JSON answer a line on standard output.
//
//   node page_test.mjs PLAYWRIGHT_CORE AXE
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [playwright, axe] = process.argv.slice(2);
const { chromium } = await import(pathToFileURL(playwright).href).then((module) => module.default ?? module);
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
const rules = readFileSync(axe, "utf8");
let context, page, trouble, asked;

const steps = {
  // A new tab: nothing of an earlier one is known to it.
  async open({ url, dark = false, width = 1280 }) {
    await context?.close();
    context = await browser.newContext({
      viewport: { width, height: 900 },
      colorScheme: dark ? "dark" : "light",
      ignoreHTTPSErrors: true,
      bypassCSP: false,
      acceptDownloads: true,
    });
    page = await context.newPage();
    trouble = [];
    // What the content-security policy stops is said here, and so is every error of the script.
    page.on(
      "console",
      (message) =>
        message.type() === "error" &&
        !/Failed to load resource|ERR_/.test(message.text()) &&
        trouble.push(message.text()),
    );
    asked = [];
    page.on("request", (request) => asked.push(request.url()));
    page.on("pageerror", (error) => trouble.push(String(error)));
    await page.goto(url);
  },
  asked: () => asked,
  appears: ({ selector }) => page.waitForSelector(selector).then(() => true),
  go: ({ hash }) =>
    page.evaluate((to) => {
      location.hash = to;
    }, hash),
  wait: ({ text, selector = "main", timeout = 60_000 }) =>
    page
      .waitForFunction(
        ([where, what]) => document.querySelector(where)?.textContent?.includes(what),
        [selector, text],
        { timeout },
      )
      .then(() => true),
  gone: ({ selector }) =>
    page.waitForFunction((what) => document.querySelector(what) === null, selector).then(() => true),
  text: ({ selector }) => page.locator(selector).first().textContent(),
  click: ({ name, role = "button", within = "body" }) =>
    page
      .locator(within)
      .getByRole(role, { name, exact: true })
      .first()
      .click()
      .then(() => true),
  // On the canvas of a chart, at parts of its width and height.
  async chart({ title, across, down, twice = false }) {
    const box = await page.locator(`section.chart:has(h2:text-is("${title}")) .u-over`).boundingBox();
    await page.mouse.click(box.x + box.width * across, box.y + box.height * down, { clickCount: twice ? 2 : 1 });
    return true;
  },
  async hover({ title, across, down }) {
    const box = await page.locator(`section.chart:has(h2:text-is("${title}")) .u-over`).boundingBox();
    await page.mouse.move(box.x + box.width * across, box.y + box.height * down);
    return true;
  },
  choose: ({ label, value }) =>
    page
      .getByLabel(label, { exact: true })
      .first()
      .selectOption(value)
      .then(() => true),
  fill: ({ label, value, exact = false }) =>
    page
      .getByLabel(label, { exact })
      .first()
      .fill(value)
      .then(() => true),
  key: ({ key }) => page.keyboard.press(key).then(() => true),
  focused: () =>
    page.evaluate(
      () => document.activeElement?.textContent || document.activeElement?.id || document.activeElement?.tagName,
    ),
  count: ({ selector }) => page.locator(selector).count(),
  disabled: ({ name }) => page.getByRole("button", { name, exact: true }).first().isDisabled(),
  overflows: () => page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth),
  stored: () => page.evaluate(() => ({ address: location.href, kept: { ...localStorage }, cookies: document.cookie })),
  // In a world of its own, which the page's policy does not bind.
  async axe() {
    const session = await context.newCDPSession(page);
    const { frameTree } = await session.send("Page.getFrameTree");
    const { executionContextId } = await session.send("Page.createIsolatedWorld", { frameId: frameTree.frame.id });
    await session.send("Runtime.evaluate", { expression: rules, contextId: executionContextId });
    const { result, exceptionDetails } = await session.send("Runtime.evaluate", {
      contextId: executionContextId,
      awaitPromise: true,
      returnByValue: true,
      expression:
        "axe.run().then((found) => found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 160) + ' ' + node.failureSummary).join(' | ')}`))",
    });
    if (exceptionDetails) throw new Error(JSON.stringify(exceptionDetails));
    return result.value;
  },
  async csv({ name }) {
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name, exact: true }).click(),
    ]);
    return readFileSync(await download.path(), "utf8");
  },
  picture: ({ file, full = false }) => page.screenshot({ path: file, fullPage: full }).then(() => true),
  trouble: () => trouble,
};

for await (const line of createInterface({ input: process.stdin })) {
  const { step, ...rest } = JSON.parse(line);
  try {
    console.log(JSON.stringify({ value: (await steps[step](rest)) ?? null }));
  } catch (error) {
    console.log(
      JSON.stringify({
        failure: String(error).slice(0, 2000),
        shown: await page
          ?.locator("body")
          .innerText()
          .catch(() => ""),
      }),
    );
  }
}
await browser.close();
