from tests.browser.test_relaunch import *
@ONLY_LAB
def test_dbg(desk, store):
    card = desk.launch(CELL, "1 + 1").expect_state("finished")
    page, first = card.page, card.run_id
    again(page, 0).click()
    second = successor(card, first, store)
    print("FOCUS", page.evaluate("() => document.activeElement.outerHTML.slice(0,200)"))
    print("BIND", page.evaluate("() => window.jupyterapp.commands.keyBindings.filter(b => b.command.startsWith('jupyter-launch')).map(b=>JSON.stringify(b))"))
    activate(page, 0)
    print("FOCUS", page.evaluate("() => document.activeElement.outerHTML.slice(0,200)"))
    page.keyboard.press("Control+Alt+Enter")
    page.wait_for_timeout(3000)
    print("RUN", card.run_id, second)
    page.keyboard.press("Control+Shift+c"); page.wait_for_timeout(1000)
    page.keyboard.type("Re-launch"); page.wait_for_timeout(1500)
    print(page.locator(".lm-CommandPalette-content").inner_text()[:600])
    page.keyboard.press("Escape")
    card.choose("Edit and re-launch…")
    page.wait_for_timeout(6000)
    page.screenshot(path="/tmp/d/p3.png")
    print(output(page,0).inner_text()[:1500])
del test_the_toolbar_of_a_cell_launches_it_again, test_the_palette_launches_the_active_cell_again
