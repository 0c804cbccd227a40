/**
 * What a kube-apiserver checks of a rule when a CRD is created, as far as an untyped CEL library lets us: every name is bound,
 * every function exists with that many arguments, every field selected from self or oldSelf is in the schema.
 *
 * The invariant: a rule that passes here cannot fail later for a misspelt name. Types of operands are not checked.
 */
import type { CelEnv, parse } from '@bufbuild/cel';
import { type CelSchema, escapeProperty, isOpen, isSchema, TYPED_FORMATS } from './cel-schema.ts';

type Expr = NonNullable<ReturnType<typeof parse>['expr']>;
type CallExpr = Extract<Expr['exprKind'], { case: 'callExpr' }>['value'];
type Comprehension = Extract<Expr['exprKind'], { case: 'comprehensionExpr' }>['value'];

/** What is known of a value: its schema, or nothing. */
type Static = CelSchema | undefined;
type Scope = ReadonlyMap<string, Static>;

/** Operators the planner evaluates itself, so that the function table does not list them. */
const SPECIAL = new Set(['_[_]', '_?_:_', '_&&_', '_||_', '@not_strictly_false', '__not_strictly_false__']);
const TYPE_NAMES = new Set(['int', 'uint', 'double', 'bool', 'string', 'bytes', 'list', 'map', 'null_type', 'type']);

/** Throws an Error that names the first unbound name, unknown function or unknown field in `expr`. */
export function checkRule(env: CelEnv, expr: Expr, self: CelSchema): { readonly usesOldSelf: boolean } {
  const checker = new RuleChecker(env);
  checker.visit(
    expr,
    new Map<string, Static>([
      ['self', self],
      ['oldSelf', self],
    ]),
  );
  return { usesOldSelf: checker.usesOldSelf };
}

class RuleChecker {
  readonly #env: CelEnv;
  usesOldSelf = false;

  constructor(env: CelEnv) {
    this.#env = env;
  }

  visit(expr: Expr, scope: Scope): Static {
    const kind = expr.exprKind;
    switch (kind.case) {
      case 'identExpr':
        return this.#ident(kind.value.name, scope);
      case 'selectExpr':
        return kind.value.operand === undefined
          ? undefined
          : fieldOf(this.visit(kind.value.operand, scope), kind.value.field);
      case 'callExpr':
        return this.#call(kind.value, scope);
      case 'listExpr':
        for (const element of kind.value.elements) this.visit(element, scope);
        return undefined;
      case 'structExpr':
        for (const entry of kind.value.entries) {
          if (entry.keyKind.case === 'mapKey') this.visit(entry.keyKind.value, scope);
          if (entry.value !== undefined) this.visit(entry.value, scope);
        }
        return undefined;
      case 'comprehensionExpr':
        return this.#comprehension(kind.value, scope);
      case 'constExpr':
      case undefined:
        return undefined;
    }
  }

  #ident(name: string, scope: Scope): Static {
    if (name === 'oldSelf') this.usesOldSelf = true;
    if (scope.has(name)) return scope.get(name);
    if (TYPE_NAMES.has(name)) return undefined;
    throw new Error(`undeclared reference to '${name}'`);
  }

  #call(call: CallExpr, scope: Scope): Static {
    const qualified =
      call.target?.exprKind.case === 'identExpr' ? `${call.target.exprKind.value.name}.${call.function}` : '';
    const args = call.args.map((arg) => this.visit(arg, scope));
    if (qualified !== '' && this.#exists(qualified, false, args.length)) return undefined;
    if (call.target !== undefined) this.visit(call.target, scope);
    if (call.function === '_[_]') return elementOf(args[0]);
    if (SPECIAL.has(call.function)) return undefined;
    if (!this.#exists(call.function, call.target !== undefined, args.length)) {
      throw new Error(`undeclared function '${call.function}' with ${args.length} arguments`);
    }
    return undefined;
  }

  #exists(name: string, method: boolean, arity: number): boolean {
    for (const func of this.#env.funcs.find(name) ?? []) {
      if ((func.target !== undefined) === method && func.arguments.length === arity) return true;
    }
    return false;
  }

  #comprehension(value: Comprehension, scope: Scope): Static {
    const range = value.iterRange === undefined ? undefined : this.visit(value.iterRange, scope);
    if (value.accuInit !== undefined) this.visit(value.accuInit, scope);
    const inner = new Map(scope).set(value.accuVar, undefined).set(value.iterVar, range?.items);
    if (value.iterVar2 !== '') inner.set(value.iterVar2, elementOf(range));
    for (const part of [value.loopCondition, value.loopStep, value.result]) {
      if (part !== undefined) this.visit(part, inner);
    }
    return undefined;
  }
}

function elementOf(container: Static): Static {
  if (container?.items !== undefined) return container.items;
  return isSchema(container?.additionalProperties) ? container.additionalProperties : undefined;
}

function fieldOf(schema: Static, field: string): Static {
  if (schema === undefined || schema['x-kubernetes-int-or-string'] === true) return undefined;
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    if (escapeProperty(name) !== field) continue;
    if (property.format !== undefined && TYPED_FORMATS.has(property.format)) {
      throw new Error(`field '${field}' has format ${property.format}, which rules cannot use here`);
    }
    return property;
  }
  if (isSchema(schema.additionalProperties)) return schema.additionalProperties;
  if (isOpen(schema)) return undefined;
  throw new Error(`undefined field '${field}'`);
}
