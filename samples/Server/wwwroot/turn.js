// A question and its answer on the page. Texts become text nodes only: nothing that anyone writes is markup.

function make(name, className, text = '') {
  const element = document.createElement(name);
  element.className = className;
  element.textContent = text;
  return element;
}

/** One question with its answer. */
export class Turn {
  #list;
  #scroller;
  #answerItem = make('li', 'answer');
  #text = document.createTextNode('');
  #note = make('p', 'note');
  #problem = make('div', 'problem');
  #pending = '';
  #frame = 0;

  /**
   * @param {string} question
   * @param {HTMLElement} list Takes the two items.
   * @param {HTMLElement} scroller Follows the answer while it is at its end.
   */
  constructor(question, list, scroller) {
    this.question = question;
    this.#list = list;
    this.#scroller = scroller;
    const asked = make('li', 'question');
    asked.append(make('span', 'unseen', 'You: '), make('div', 'text', question));
    const text = make('div', 'text');
    text.append(this.#text);
    this.#answerItem.append(make('span', 'unseen', 'Model: '), text, this.#note, this.#problem);
    this.#list.append(asked, this.#answerItem);
    this.#follow(true);
  }

  /** The answer so far. */
  get answer() {
    return this.#text.data + this.#pending;
  }

  /** What stands below the answer. */
  get note() {
    return this.#note.textContent;
  }

  /** An answer begins, for the first time or again. */
  begin() {
    this.#text.data = '';
    this.#note.textContent = '';
    this.#problem.replaceChildren();
    this.#answerItem.classList.add('running');
    this.#follow(true);
  }

  /** More of the answer; drawn with the next frame, however many pieces come before it. */
  append(text) {
    this.#pending += text;
    this.#frame ||= requestAnimationFrame(() => this.#draw());
  }

  /** The answer ends, whole or not. */
  end(note) {
    this.#draw();
    this.#answerItem.classList.remove('running');
    this.#change(() => { this.#note.textContent = note; });
  }

  /** Says what went wrong, and offers what can be done about it. */
  fail(title, detail, actionName, action) {
    this.#change(() => {
      const button = make('button', '', actionName);
      button.type = 'button';
      button.addEventListener('click', action);
      this.#problem.replaceChildren(make('strong', '', title), make('p', '', detail), button);
    });
  }

  /** The conversation has gone on: what is left of an error is its text. */
  settle() {
    this.#problem.querySelector('button')?.remove();
  }

  #draw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#change(() => {
      this.#text.appendData(this.#pending);
      this.#pending = '';
    });
  }

  #change(change) {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    const isAtEnd = scrollHeight - scrollTop - clientHeight < 48;
    change();
    this.#follow(isAtEnd);
  }

  #follow(wanted) {
    if (wanted) {
      this.#scroller.scrollTop = this.#scroller.scrollHeight;
    }
  }
}
