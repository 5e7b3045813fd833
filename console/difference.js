// Two texts, line by line: what stayed, what went, what came.

/** More lines than this are compared by their ends alone. */
const MOST = 3000;

/** Lists `{ kind: "same" | "gone" | "new", line }` in order. */
export function difference(before, after) {
  const [one, other] = [lines(before), lines(after)];
  let start = 0;
  while (start < one.length && start < other.length && one[start] === other[start]) start += 1;
  let end = 0;
  while (end < one.length - start && end < other.length - start && one[one.length - 1 - end] === other[other.length - 1 - end]) end += 1;
  const same = (line) => ({ kind: "same", line });
  return [...one.slice(0, start).map(same), ...middle(one.slice(start, one.length - end), other.slice(start, other.length - end)),
    ...one.slice(one.length - end).map(same)];
}

const lines = (text) => text.replace(/\n$/, "").split("\n");

/** By the longest common part. */
function middle(one, other) {
  const gone = (line) => ({ kind: "gone", line });
  const come = (line) => ({ kind: "new", line });
  if (!one.length || !other.length || one.length * other.length > MOST * MOST) return [...one.map(gone), ...other.map(come)];
  const width = other.length + 1;
  const long = new Uint32Array((one.length + 1) * width);
  for (let i = one.length - 1; i >= 0; i -= 1) {
    for (let j = other.length - 1; j >= 0; j -= 1) {
      long[i * width + j] = one[i] === other[j] ? long[(i + 1) * width + j + 1] + 1 : Math.max(long[(i + 1) * width + j], long[i * width + j + 1]);
    }
  }
  const found = [];
  let [i, j] = [0, 0];
  while (i < one.length && j < other.length) {
    if (one[i] === other[j]) {
      found.push({ kind: "same", line: one[i] });
      i += 1;
      j += 1;
    } else if (long[(i + 1) * width + j] >= long[i * width + j + 1]) {
      found.push(gone(one[i]));
      i += 1;
    } else {
      found.push(come(other[j]));
      j += 1;
    }
  }
  return [...found, ...one.slice(i).map(gone), ...other.slice(j).map(come)];
}

/** What changed, with three lines around; `null` stands for lines that are left out. */
export function hunks(all, around = 3) {
  const near = all.map(() => false);
  all.forEach(({ kind }, at) => {
    if (kind !== "same") near.fill(true, Math.max(0, at - around), at + around + 1);
  });
  return all.flatMap((one, at) => (near[at] ? [one] : at === 0 || near[at - 1] ? [null] : []));
}
