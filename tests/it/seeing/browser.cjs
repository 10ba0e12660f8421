// Looks at a page as people do, with a real browser, and prints what it saw as JSON.
//
//   node browser.cjs status URL TOKEN FOLDER   signs in, looks at both widths, signs out
//   node browser.cjs file PATH                 opens a file and counts what it makes the browser run
//   node browser.cjs terminal LOG COLUMNS ROWS PICTURE
//                                              draws what a terminal was told, up to where it was given back

const { chromium } = require("playwright-core");
const axe = require("axe-core");

const [what, ...rest] = process.argv.slice(2);

async function judged(page) {
  await page.evaluate(axe.source);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return {
    passes: found.passes.length,
    violations: found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).slice(0, 3).join(" | ")}`),
  };
}

async function status(browser, url, token, folder) {
  const saw = { console: [], failed: [], widths: {} };
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: "zh-CN" });
  const page = await context.newPage();
  page.on("console", (message) => saw.console.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => saw.console.push(`error: ${error}`));
  // What was on its way when the page was left is no failure.
  page.on("requestfailed", (request) => {
    const why = request.failure().errorText;
    if (why !== "net::ERR_ABORTED") saw.failed.push(`${why} ${request.url()}`);
  });
  await page.goto(`${url}/status`);
  saw.first = new URL(page.url()).pathname;
  saw.signIn = await judged(page);
  await page.getByLabel("令牌").fill(token);
  await page.getByRole("button", { name: "登录" }).click();
  await page.waitForURL(`${url}/status`);
  const answer = await page.reload();
  saw.policy = answer.headers()["content-security-policy"];
  saw.cookies = await context.cookies();
  for (const width of [1280, 390]) {
    await page.setViewportSize({ width, height: 900 });
    await page.reload();
    saw.widths[width] = {
      ...(await judged(page)),
      overflow: await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth),
      smallest: await page.evaluate(() =>
        Math.min(...[...document.querySelectorAll("td,th,p,text")].map((one) => parseFloat(getComputedStyle(one).fontSize)))),
    };
    await page.screenshot({ path: `${folder}/status-${width}.png`, fullPage: width === 390 });
  }
  saw.title = await page.title();
  saw.heading = await page.locator("h1").innerText();
  saw.text = await page.locator("main").innerText();
  saw.charts = await page.locator("svg rect.allocated").count();
  // What escaped would have run by now.
  saw.hits = await page.evaluate(() => window.hits || 0);
  // Nothing can be run even where something is put in: the policy holds.
  saw.refused = await page.evaluate(() => new Promise((done) => {
    document.addEventListener("securitypolicyviolation", (event) => done(event.effectiveDirective), { once: true });
    const script = document.createElement("script");
    script.textContent = "window.hits = 1000";
    document.body.append(script);
    setTimeout(() => done("nothing"), 2000);
  }));
  saw.hitsAfter = await page.evaluate(() => window.hits || 0);
  saw.console = saw.console.filter((line) => !line.includes("Content Security Policy") || !line.includes("script"));
  await page.getByRole("button", { name: "退出" }).click();
  await page.waitForURL(`${url}/status/sign-in`);
  await page.goto(`${url}/status`);
  saw.last = new URL(page.url()).pathname;
  return saw;
}

async function file(browser, path) {
  const page = await browser.newPage();
  page.on("dialog", (dialog) => dialog.dismiss());
  await page.goto(`file://${path}`, { waitUntil: "load" });
  await page.waitForTimeout(1500);
  return {
    hits: await page.evaluate(() => (window.hits || 0)),
    // Tags that a name would have made.
    tags: await page.locator("script,iframe,img,object,embed,details,marquee,body *[onload],*[onerror],*[onclick]").count(),
    text: await page.evaluate(() => document.body.innerText),
  };
}

// The few orders that `jiyue top` gives to a terminal.
function screen(told, columns, rows) {
  const from = told.indexOf("\x1b[?1049h");
  const to = told.indexOf("\x1b[?1049l");
  const text = told.slice(from < 0 ? 0 : from, to < 0 ? told.length : to);
  const cells = Array.from({ length: rows }, () => Array.from({ length: columns }, () => ({ c: " ", style: "" })));
  let [x, y, style] = [0, 0, {}];
  const colours = ["#000", "#c0392b", "#2e9e5b", "#c9a227", "#2f6fb0", "#8a5cb0", "#2a9d9d", "#ddd"];
  const css = () => `${style.bold ? "font-weight:bold;" : ""}${style.dim ? "opacity:.6;" : ""}${style.fg ? `color:${style.fg};` : ""}`;
  const wide = (c) => /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/.test(c);
  const token = /\x1b\[([?\d;]*)([A-Za-z])|\x1b[^\[]|[\s\S]/gu;
  for (const [all, numbers, order] of text.matchAll(token)) {
    const n = (numbers || "").split(";").map(Number);
    if (order === "H") [y, x] = [(n[0] || 1) - 1, (n[1] || 1) - 1];
    else if (order === "J") cells.forEach((row) => row.forEach((cell) => Object.assign(cell, { c: " ", style: "" })));
    else if (order === "m") {
      for (let i = 0; i < n.length; i += 1) {
        if (n[i] === 0) style = {};
        else if (n[i] === 1) style.bold = true;
        else if (n[i] === 2) style.dim = true;
        else if (n[i] === 22) style.bold = style.dim = false;
        else if (n[i] >= 30 && n[i] <= 37) style.fg = colours[n[i] - 30];
        else if (n[i] === 38 && n[i + 1] === 5) { style.fg = colours[n[i + 2]] || "#ddd"; i += 2; }
        else if (n[i] === 39) style.fg = undefined;
        else if ((n[i] === 48 || n[i] === 58) && n[i + 1] === 5) i += 2;
      }
    } else if (order === undefined && all >= " " && y < rows && x < columns) {
      cells[y][x] = { c: all, style: css() };
      if (wide(all) && x + 1 < columns) cells[y][x + 1] = { c: "", style: "" };
      x += wide(all) ? 2 : 1;
    }
  }
  return cells;
}

async function terminal(browser, log, columns, rows, picture) {
  const cells = screen(require("fs").readFileSync(log, "utf8"), Number(columns), Number(rows));
  const safe = (c) => c.replace(/&/g, "&amp;").replace(/</g, "&lt;");
  const lines = cells.map((row) => row.map((cell, x) => (cell.c === "" ? "" :
    `<span style="left:${x * 8}px;${cell.style}">${safe(cell.c)}</span>`)).join(""));
  const page = await browser.newPage({ viewport: { width: columns * 8 + 16, height: rows * 18 + 16 } });
  await page.setContent(`<style>body{margin:0;padding:8px;background:#12161b;color:#e6e6e6;font:13px/18px "DejaVu Sans Mono","WenQuanYi Zen Hei Mono",monospace}
    div{position:relative;height:18px} span{position:absolute;white-space:pre}</style>${lines.map((line) => `<div>${line}</div>`).join("")}`);
  await page.screenshot({ path: picture });
  return { text: cells.map((row) => row.map((cell) => cell.c).join("").trimEnd()).join("\n") };
}

(async () => {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--font-render-hinting=none"],
    timeout: 120000,
  });
  try {
    const saw = await { status, file, terminal }[what](browser, ...rest);
    console.log(JSON.stringify(saw));
  } finally {
    await browser.close();
  }
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
