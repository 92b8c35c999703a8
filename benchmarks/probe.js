// Watches what a cell's output shows: which of the program's lines are on the screen, and since when.
//
// A line says "#<number> <Unix time at which it was printed>". The output is read in the first task after each
// animation frame was painted, so that what is read has been on the screen.
window.probe = (() => {
  const STAMP = /#(\d+) (\d+\.\d+)/g;
  const ENOUGH = 4000;
  const painted = new Map(); // number of a line -> [when it was painted, how late that was], in milliseconds
  const delays = []; // from a key's press until the page heard of it
  let output, newest, ages, gaps, last, run = 0;

  // A card has its visible rows in the document; of other outputs, which have everything there, the end is read.
  function shown() {
    const rows = output.querySelectorAll('[data-line]');
    if (rows.length || output.querySelector('[data-run]')) {
      return Array.from(rows, row => row.textContent).join('\n');
    }
    const texts = document.createTreeWalker(output, NodeFilter.SHOW_TEXT);
    let text = '';
    for (let node = lastOf(output); node && text.length < ENOUGH; node = texts.previousNode()) {
      texts.currentNode = node;
      text = (node.nodeType === Node.TEXT_NODE ? node.data.slice(-ENOUGH) : '') + text;
    }
    return text;
  }

  function lastOf(node) {
    return node.lastChild ? lastOf(node.lastChild) : node;
  }

  function look() {
    const now = Date.now();
    for (const [, number, printed] of shown().matchAll(STAMP)) {
      const at = Number(printed) * 1000;
      if (!painted.has(Number(number))) painted.set(Number(number), [now, now - at]);
      newest = Math.max(newest, at);
    }
  }

  const afterwards = new MessageChannel();
  afterwards.port1.onmessage = ({ data }) => data === run && look();

  function frame(own) {
    if (own !== run) return;
    const now = performance.now();
    gaps.push(now - last);
    last = now;
    if (newest) ages.push(Date.now() - newest); // as old as it was just before something newer came
    afterwards.port2.postMessage(own);
    requestAnimationFrame(() => frame(own));
  }

  addEventListener('keydown', event => delays.push(performance.now() - event.timeStamp), true);

  return {
    painted,
    // Begins to watch the output of a cell, and gives the time.
    begin(number) {
      const { node } = window.jupyterapp.shell.currentWidget.content.widgets[number];
      node.scrollIntoView(); // only what can be seen is painted
      output = node.querySelector('.jp-Cell-outputArea');
      painted.clear();
      [newest, ages, gaps, delays.length, last] = [0, [], [], 0, performance.now()];
      run += 1;
      frame(run);
      return Date.now();
    },
    // Ends it, and gives what was seen; nothing of it is kept.
    end() {
      run += 1;
      look();
      const late = Array.from(painted.values(), ([, late]) => late);
      const seen = { late, ages, gaps, delays: delays.slice() };
      [ages, gaps] = [[], []];
      painted.clear();
      return seen;
    },
    // Gives how many milliseconds after its start the page had painted what `enough` asks for.
    async opened(enough) {
      while (!enough()) await new Promise(requestAnimationFrame);
      await new Promise(resolve => requestAnimationFrame(() => setTimeout(resolve)));
      return performance.now();
    }
  };
})();
