/** The one selector language of the product, pure. This is what `#selector` exports. */

export { parseSelector, SelectorError } from './parse.ts';
export { formatSelector, type LabelTest, matches, type Selector } from './selector.ts';
