"""Open a page in a real browser as a person would; print as JSON what was seen. Run by the tests.

`look.py BROWSER PAGE [PICTURE HEIGHT]`: with PICTURE also `PICTURE-light.png` and `PICTURE-dark.png`, as
high as that.
"""

import json
import sys

from playwright.sync_api import sync_playwright

# The share of the columns of a drawing in which a line stands out against paper and grid. Read from a
# copy: the page's own canvas is none that is read, and a browser says so.
LINES = """canvas => {
  const copy = document.createElement("canvas");
  [copy.width, copy.height] = [canvas.width, canvas.height];
  const pen = copy.getContext("2d", { willReadFrequently: true });
  pen.drawImage(canvas, 0, 0);
  const paper = getComputedStyle(canvas.closest("figure")).backgroundColor.match(/\\d+/g).map(Number);
  pen.globalCompositeOperation = "destination-over";
  pen.fillStyle = `rgb(${paper})`;
  pen.fillRect(0, 0, copy.width, copy.height);
  const [left, top, width, height] = [10, 12, copy.width - 86, copy.height - 38];
  const { data } = pen.getImageData(left, top, width, height);
  let columns = 0;
  for (let x = 0; x < width; x++) {
    for (let y = 0; y < height; y++) {
      const at = 4 * (y * width + x);
      if (paper.some((value, channel) => Math.abs(value - data[at + channel]) > 60)) {
        columns++;
        break;
      }
    }
  }
  return columns / width;
}"""
PICTURE = "canvas => canvas.toDataURL()"


def look(browser, scheme, address, picture, height):
    """Load, hover, zoom, switch off and back on; return what there was to see each time."""
    context = browser.new_context(color_scheme=scheme, viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    page.wait_for_function("document.querySelector('canvas').width > 300")
    canvases = page.locator("canvas")
    seen = {
        "scheme": scheme,
        "paper": page.evaluate("getComputedStyle(document.body).backgroundColor"),
        "heading": page.locator("h1").inner_text(),
        "lines": [canvases.nth(at).evaluate(LINES) for at in range(canvases.count())],
        "wide": page.evaluate(
            "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        ),
    }
    if picture:
        clip = {"x": 0, "y": 0, "width": 1400, "height": int(height)}
        page.screenshot(path=f"{picture}-{scheme}.png", full_page=True, clip=clip)
    first = canvases.first
    first.scroll_into_view_if_needed()
    whole = first.evaluate(PICTURE)
    box = first.bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.5, y)
    page.locator("#tip").wait_for(state="visible")
    seen["tip"] = page.locator("#tip").inner_text()
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.7, y)
    page.mouse.up()
    back = page.locator("#whole")
    back.wait_for(state="visible")
    page.mouse.move(2, 2)
    page.locator("#tip").wait_for(state="hidden")
    seen["zoom changes it"] = first.evaluate(PICTURE) != whole
    back.click()
    back.wait_for(state="hidden")
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    seen["and back"] = first.evaluate(PICTURE) == whole
    page.get_by_role("button", name="fills").click()
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    seen["without fills"] = first.evaluate(PICTURE) != whole
    seen["sorted"] = sort(page)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    seen["on paper"] = page.evaluate("getComputedStyle(document.body).backgroundColor")
    context.close()
    seen["still"] = still(browser, address)
    return {**seen, "said": said, "asked": asked}


def sort(page):
    """Sort the trades by what they brought, twice; return what the heading says, if the rows agree."""
    head = page.locator("table.sortable th", has_text="net")
    column = head.evaluate("head => head.cellIndex")
    told = []
    for turn in range(2):
        head.get_by_role("button").click()
        values = page.locator(f"table.sortable tbody td:nth-child({column + 1})").evaluate_all(
            "cells => cells.map(cell => Number(cell.dataset.by))"
        )
        assert len(set(values)) > 2
        assert values == sorted(values, reverse=not turn), values
        told.append(head.get_attribute("aria-sort"))
    return told


def still(browser, address):
    """Return how many drawings are shown where no program runs."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    drawings = page.locator("svg.still")
    count = sum(drawings.nth(at).is_visible() for at in range(drawings.count()))
    assert not page.locator("canvas").first.is_visible()
    context.close()
    return count


def main(program, address, picture=None, height=0):
    with sync_playwright() as playwright:
        # Whoever runs the tests may be root, for whom Chromium's own sandbox does not work.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        schemes = ("light", "dark")
        print(json.dumps([look(browser, each, address, picture, height) for each in schemes]))
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
