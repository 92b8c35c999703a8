// Comma- and tab-separated values (RFC 4180) as rows of texts.

/** Split text into rows and cells; quotes keep separators and ends of lines together. */
export function parseTable(text: string, separator: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let cell = "";
  let quoted = false;
  const end = (): void => {
    row.push(cell);
    cell = "";
  };
  for (let at = 0; at < text.length; at++) {
    const letter = text.charAt(at);
    if (letter === '"') {
      const twice = quoted && text.charAt(at + 1) === '"';
      if (twice) {
        cell += letter;
        at += 1;
      } else quoted = !quoted;
    } else if (quoted || ![separator, "\n", "\r"].includes(letter)) cell += letter;
    else if (letter === separator) end();
    else if (letter === "\n") {
      end();
      rows.push(row);
      row = [];
    }
  }
  if (cell || row.length) {
    end();
    rows.push(row);
  }
  return rows.filter((one) => one.length > 1 || one[0]);
}
