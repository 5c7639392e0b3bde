// The files that somebody has picked or dropped, with their paths below one folder.
const IGNORED = /(^|\/)(\.|Thumbs\.db$|desktop\.ini$)|\.blend\d+$|\.blend@$/;

const withoutIgnored = (items) => items.filter(({ path }) => !IGNORED.test(path));

export function filesOfInput(input) {
  return withoutIgnored([...input.files].map((file) => ({ file, path: file.webkitRelativePath || file.name })));
}

export async function filesOfDrop(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return withoutIgnored([...transfer.files].map((file) => ({ file, path: file.name })));
  return withoutIgnored((await Promise.all(entries.map(walk))).flat());
}

async function walk(entry) {
  const path = entry.fullPath.replace(/^\//, "");
  if (entry.isFile) return [{ path, file: await new Promise((resolve, reject) => entry.file(resolve, reject)) }];
  const reader = entry.createReader(), children = [];
  for (;;) {
    const batch = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!batch.length) break;
    children.push(...batch);
  }
  return (await Promise.all(children.map(walk))).flat();
}
