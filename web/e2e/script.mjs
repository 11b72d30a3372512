// What the played model says in the scenarios. A conversation is chosen by a word of the prompt.
const shell = (command) => ({ calls: [{ tool: 'shell', input: { command } }] });
const say = (text) => ({ say: text });
const plan = (status) => ({
  calls: [
    {
      tool: 'update_plan',
      input: {
        plan: [
          { step: 'Look at the change log', status: status[0] },
          { step: 'Add the line', status: status[1] },
        ],
      },
    },
  ],
});
const over = Array.from({ length: 6 }, () => say('Nothing more was to do 【F:README.md†L1】.'));
const line = (text) =>
  shell(`printf -- '- ${text}\\n' >> CHANGES.md && git commit -qam '${text}' && cat -n CHANGES.md`);

/** The instructions of the repository name it: an answer waits for it. */
const tests = shell('python3 -m unittest discover -s tests');

/** Markdown as a page's enemy writes it. */
const enemy = [
  '**Summary** <script>window.hacked = 1</script><img src=x onerror="window.hacked=1">',
  '',
  '![seen](https://images.example.org/seen.png) [click](javascript:window.hacked=1)',
  '[data](data:text/html,<script>window.hacked=1</script>) <svg onload="window.hacked=1"></svg>',
  '',
  '<iframe src="https://example.org"></iframe> 【F:README.md†L1】 【F:nowhere.txt†L9】',
].join('\n');

const hostile = [
  `touch '<img src=x onerror=window.hacked=1>.txt' "$(printf 'tab\\there')" 'ünï cödé 🧵.txt'`,
  `printf '%s' '<svg xmlns="http://www.w3.org/2000/svg" onload="window.hacked=1"/>' > evil.svg`,
  `mkdir -p .github/workflows && echo 'on: push' > .github/workflows/run.yml`,
  'git add -A && git commit -qm "<b>bold</b>"',
].join(' && ');
const noise = [
  `printf '\\033[31mred\\033[0m \\033]0;title\\007 \\033[2J\\033[Hhome <b onclick=1>html</b>\\n'`,
  `printf '\\033]8;;javascript:window.hacked=1\\033\\\\link\\033]8;;\\033\\\\\\n'`,
].join('; ');

export const script = {
  conversations: [
    {
      word: 'CODE',
      turns: [
        plan(['in_progress', 'pending']),
        { say: 'I look at the change log first.', ...shell('cat -n CHANGES.md') },
        shell('for i in 1 2 3 4 5 6; do echo "tick $i"; sleep 0.5; done'),
        plan(['completed', 'in_progress']),
        line('Counted.'),
        plan(['completed', 'completed']),
        tests,
        say(
          '**Summary**\n\n- The line stands in the change log 【{{chunk 5}}†L{{line 5 /Counted/}}】, and `cat` shows it.\n- The README begins with the name 【F:README.md†L1】.\n\n| what | count |\n| --- | --- |\n| lines | 1 |\n\n**Testing**\n\n1. Two tests fail 【{{chunk 7}}†L{{line 7 /FAILED/}}】.',
        ),
        line('Followed.'),
        tests,
        say('Followed up 【{{chunk 8}}†L{{line 8 /Followed/}}】.'),
        ...over,
      ],
    },
    {
      word: 'ASKS',
      turns: [shell('cat README.md'), say('It makes slugs 【F:README.md†L1】.'), ...over],
    },
    {
      word: 'PLANS',
      turns: [say('1. Write a line.\n2. Commit it.'), line('Planned.'), ...over],
    },
    {
      word: 'WONDERS',
      turns: [
        {
          calls: [
            {
              tool: 'ask_user',
              input: {
                question: 'Which line?',
                choices: [{ label: 'The short one' }, { label: 'The long one' }],
              },
            },
          ],
        },
        line('Chosen.'),
        ...over,
      ],
    },
    {
      word: 'LONG',
      turns: [...Array.from({ length: 12 }, (_, at) => shell(`echo step ${at}; sleep 1`)), ...over],
    },
    { word: 'STUCK', turns: [shell('echo begun; sleep 300'), ...over] },
    {
      word: 'MANY',
      turns: [
        shell(
          `for i in $(seq 1 5000); do printf '\\033[32mPASS\\033[0m line %s\\n' "$i"; done; printf '\\033[1;31mFAIL\\033[0m the last\\n'; exit 3`,
        ),
        say('One fails 【{{chunk 1}}†L5001】.'),
        ...over,
      ],
    },
    {
      word: 'HOSTILE',
      turns: [
        shell(hostile),
        shell(noise),
        shell(`head -c 10000000 /dev/zero | tr '\\0' x; echo`),
        // A faulty citation is sent back three times.
        ...Array.from({ length: 4 }, () => say(enemy)),
        ...over,
      ],
    },
    { turns: over },
  ],
};
