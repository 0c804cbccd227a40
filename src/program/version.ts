// The version of this tree, from package.json; a bundle carries it inside.
import manifest from '#package' with { type: 'json' };

export const { version } = manifest;
