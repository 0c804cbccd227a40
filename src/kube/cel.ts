/**
 * The rules of a CRD: walks `x-kubernetes-validations` of a structural schema and judges objects by them.
 *
 * Semantics are those of Kubernetes (documentation "Validation rules"): a rule runs where its value is present, a rule that
 * mentions oldSelf runs only where an old value can be matched (by property, by map key, by the keys of a map list), and a rule
 * that fails to evaluate counts as broken. The invariant: a rule that cannot be compiled is an error when the validator is
 * made, never silence when an object is judged.
 */
import { type CelEnv, type CelInput, isCelError, parse, plan } from '@bufbuild/cel';
import { checkRule } from './cel-check.ts';
import { createCelEnv } from './cel-env.ts';
import { type CelRule, type CelSchema, isRecord, isSchema, own, rootSchema, toCel } from './cel-schema.ts';

/** One broken rule: where, why, and the `reason` of the rule (FieldValueInvalid unless it says otherwise). */
export interface CelViolation {
  /** Path such as `spec.cidr`, `spec.list[0].name` or `spec.map[key]`; empty for the root. */
  readonly field: string;
  readonly message: string;
  readonly reason: string;
  /** The value the rule was about; absent when the rule has a fieldPath, as in the messages of a kube-apiserver. */
  readonly value?: unknown;
}

/** Judges `object`; with `oldObject` (an update) rules on oldSelf run too. Empty = all rules hold. Never throws. */
export type CelValidator = (object: unknown, oldObject?: unknown) => CelViolation[];

/** Thrown when the validator is made: names the place in the schema and the rule. */
export class CelRuleError extends Error {
  readonly code = 'CEL_RULE';
  readonly path: string;
  readonly rule: string;

  constructor(path: string, rule: string, cause: unknown) {
    super(
      `rule at ${path || '(root)'} does not compile: ${cause instanceof Error ? cause.message : String(cause)}: ${rule}`,
      {
        cause,
      },
    );
    this.name = 'CelRuleError';
    this.path = path;
    this.rule = rule;
  }
}

interface CompiledRule {
  readonly source: CelRule;
  readonly usesOldSelf: boolean;
  readonly evaluate: (bindings: Record<string, CelInput>) => unknown;
  readonly explain: ((bindings: Record<string, CelInput>) => unknown) | undefined;
}

/** One place in the schema with the rules on it and below it; places without either are left out of the tree. */
interface RuleNode {
  readonly schema: CelSchema;
  readonly rules: readonly CompiledRule[];
  readonly properties: ReadonlyMap<string, RuleNode>;
  readonly additional: RuleNode | undefined;
  readonly items: RuleNode | undefined;
}

/** A place in the object: the value now, the value before (undefined when unmatched), and how to name it. */
interface Place {
  readonly value: unknown;
  readonly old: unknown;
  readonly path: string;
}

/**
 * Compiles every rule of `schema` (the openAPIV3Schema of one version) once.
 * Throws CelRuleError for a rule that does not parse, or names something that does not exist.
 */
export function createCelValidator(schema: CelSchema): CelValidator {
  const root = compileNode(createCelEnv(), rootSchema(schema), '');
  return (object, oldObject) => {
    const violations: CelViolation[] = [];
    if (root !== undefined) judge(root, { value: object, old: oldObject, path: '' }, violations);
    return violations;
  };
}

function compileNode(env: CelEnv, schema: CelSchema, path: string): RuleNode | undefined {
  const rules = (schema['x-kubernetes-validations'] ?? []).map((rule) => compileRule(env, rule, schema, path));
  const properties = new Map<string, RuleNode>();
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const node = compileNode(env, property, join(path, name));
    if (node !== undefined) properties.set(name, node);
  }
  const additional = isSchema(schema.additionalProperties)
    ? compileNode(env, schema.additionalProperties, `${path}[*]`)
    : undefined;
  const items = schema.items === undefined ? undefined : compileNode(env, schema.items, `${path}[]`);
  const empty = rules.length === 0 && properties.size === 0 && additional === undefined && items === undefined;
  return empty ? undefined : { schema, rules, properties, additional, items };
}

function compileRule(env: CelEnv, source: CelRule, schema: CelSchema, path: string): CompiledRule {
  try {
    if (source.optionalOldSelf === true) throw new Error('optionalOldSelf is not supported');
    const parsed = parse(source.rule);
    const usesOldSelf = parsed.expr !== undefined && checkRule(env, parsed.expr, schema).usesOldSelf;
    return { source, usesOldSelf, evaluate: plan(env, parsed), explain: compileMessage(env, source, schema) };
  } catch (cause) {
    throw new CelRuleError(path, source.rule, cause);
  }
}

function compileMessage(env: CelEnv, source: CelRule, schema: CelSchema): CompiledRule['explain'] {
  if (source.messageExpression === undefined) return undefined;
  const parsed = parse(source.messageExpression);
  if (parsed.expr !== undefined) checkRule(env, parsed.expr, schema);
  return plan(env, parsed);
}

function judge(node: RuleNode, place: Place, violations: CelViolation[]): void {
  if (place.value === undefined || place.value === null) return;
  if (node.rules.length > 0) applyRules(node, place, violations);
  if (Array.isArray(place.value)) judgeItems(node, place, violations);
  else if (isRecord(place.value)) judgeFields(node, place.value, place, violations);
}

function applyRules(node: RuleNode, place: Place, violations: CelViolation[]): void {
  const hasOld = place.old !== undefined && place.old !== null;
  const bindings: Record<string, CelInput> = { self: toCel(place.value, node.schema) };
  if (hasOld) bindings['oldSelf'] = toCel(place.old, node.schema);
  for (const rule of node.rules) {
    if (rule.usesOldSelf && !hasOld) continue;
    const result = rule.evaluate(bindings);
    if (result !== true) violations.push(violation(rule, result, bindings, place));
  }
}

function violation(
  rule: CompiledRule,
  result: unknown,
  bindings: Record<string, CelInput>,
  place: Place,
): CelViolation {
  const { source } = rule;
  const reason = source.reason ?? 'FieldValueInvalid';
  const message =
    result === false
      ? explain(rule, bindings)
      : `rule evaluation error: ${isCelError(result) ? result.message : 'not a bool'}`;
  if (source.fieldPath === undefined) return { field: place.path, message, reason, value: place.value };
  return {
    field: place.path === '' ? source.fieldPath.replace(/^\./, '') : `${place.path}${source.fieldPath}`,
    message,
    reason,
  };
}

function explain(rule: CompiledRule, bindings: Record<string, CelInput>): string {
  const text = rule.explain?.(bindings);
  // an expression that fails or gives an empty or many-line text falls back to message, as in Kubernetes
  if (typeof text === 'string' && text.trim() !== '' && !text.includes('\n')) return text;
  return rule.source.message ?? `failed rule: ${rule.source.rule}`;
}

function judgeFields(
  node: RuleNode,
  value: Readonly<Record<string, unknown>>,
  place: Place,
  violations: CelViolation[],
): void {
  const before = isRecord(place.old) ? place.old : undefined;
  for (const [name, property] of node.properties) {
    const path = join(place.path, name);
    judge(property, { value: own(value, name), old: own(before, name), path }, violations);
  }
  if (node.additional === undefined) return;
  for (const [key, inner] of Object.entries(value)) {
    if (own(node.schema.properties, key) !== undefined) continue;
    judge(node.additional, { value: inner, old: own(before, key), path: `${place.path}[${key}]` }, violations);
  }
}

function judgeItems(node: RuleNode, place: Place, violations: CelViolation[]): void {
  const { items } = node;
  if (items === undefined || !Array.isArray(place.value)) return;
  const keys = node.schema['x-kubernetes-list-type'] === 'map' ? node.schema['x-kubernetes-list-map-keys'] : undefined;
  const before = keys === undefined || !Array.isArray(place.old) ? [] : place.old;
  place.value.forEach((value: unknown, index) => {
    const old: unknown = keys === undefined ? undefined : before.find((candidate) => sameKeys(candidate, value, keys));
    judge(items, { value, old, path: `${place.path}[${index}]` }, violations);
  });
}

function sameKeys(a: unknown, b: unknown, keys: readonly string[]): boolean {
  return isRecord(a) && isRecord(b) && keys.every((key) => own(a, key) === own(b, key));
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}
