// What every long-running program of Manx shares: its settings, its life from start to stop, how it ends.
export { describeEnd, exitCodes, orFault, ProgramFault, requireRoot } from './exit.ts';
export { Life, type Part } from './life.ts';
export { absolutePath, duration, hostPort, integer, level, oneOf, pattern } from './parse.ts';
export {
  type Environment,
  formatSettingsTable,
  readTable,
  type Setting,
  SettingsError,
  type SettingsTable,
} from './settings.ts';
export { version } from './version.ts';
