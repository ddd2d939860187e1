import { defineMatch } from '../contract.ts';
import { ownText, saveString } from '../words.ts';

interface CommentMatch {
  comment: string;
}

/** XT_MAX_COMMENT_LEN, less the final zero byte. */
const MAX_LENGTH = 255;

const HELP = `comment match options:
--comment COMMENT             Attach a comment to a rule
`;

export const comment = defineMatch<CommentMatch>({
  name: 'comment',
  families: [4, 6],
  options: [{ name: 'comment', type: 'string', mandatory: true }],
  init: () => ({ comment: '' }),
  parse(data, option) {
    data.comment = ownText(option.text.slice(0, MAX_LENGTH));
  },
  save: (data) => ` --comment${saveString(data.comment)}`,
  print: (data) => ` /* ${data.comment} */`,
  help: () => HELP,
  explain: () => '',
  remark: (data) => `it says: ${data.comment}`,
  pure: true,
  fields: () => [],
  compile: () => () => true,
});
