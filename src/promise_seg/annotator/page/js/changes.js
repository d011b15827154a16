// Who is told when something changes. Everyone hears of a topic once, after what changed it has finished.

/**
 * image: another image or slice, or its facts; images: the list; objects: any object; prompts: points and boxes in use;
 * view: where pixels are drawn; display: how; tool: which; saved: what is on disk.
 * @typedef {"image" | "images" | "objects" | "prompts" | "view" | "display" | "tool" | "saved"} Topic
 */

export class Changes {
  constructor() {
    /** @type {Map<Topic, Set<() => void>>} */
    this.listeners = new Map();
    /** @type {Set<Topic>} */
    this.told = new Set();
  }

  /** @param {Topic[]} topics @param {() => void} heard */
  on(topics, heard) {
    for (const topic of topics) {
      const listeners = this.listeners.get(topic) ?? new Set();
      this.listeners.set(topic, listeners.add(heard));
    }
  }

  /** @param {...Topic} topics */
  tell(...topics) {
    if (this.told.size === 0) queueMicrotask(() => this.flush());
    for (const topic of topics) this.told.add(topic);
  }

  flush() {
    /** @type {Set<() => void>} */
    const due = new Set();
    for (const topic of this.told) for (const heard of this.listeners.get(topic) ?? []) due.add(heard);
    this.told.clear();
    for (const heard of due) heard();
  }
}
