// What somebody has chosen or dropped, as files with their paths below one folder.
const SKIPPED = /(^|\/)(\.|Thumbs\.db$|desktop\.ini$)|\.blend\d+$|\.blend@$/;

const kept = (items) => items.filter(({ path }) => !SKIPPED.test(path));

export function fromInput(input) {
  return kept([...input.files].map((file) => ({ file, path: file.webkitRelativePath || file.name })));
}

export async function fromDrop(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return kept([...transfer.files].map((file) => ({ file, path: file.name })));
  return kept((await Promise.all(entries.map(walk))).flat());
}

async function walk(entry) {
  const path = entry.fullPath.replace(/^\//, "");
  if (entry.isFile) return [{ path, file: await new Promise((done, failed) => entry.file(done, failed)) }];
  const reader = entry.createReader(), found = [];
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) break;
    found.push(...some);
  }
  return (await Promise.all(found.map(walk))).flat();
}
