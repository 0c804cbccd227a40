// Command real-rules judges crds/ with the code of a real API server (k8s.io/apiextensions-apiserver): whether each
// CRD would be accepted, what its rules say of the objects in crds/cases.json, and what the rules in
// src/kube/cel-cases.json evaluate to. Run from the root of the repository; exits 1 when anything differs from what our
// own tests expect.
package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"sort"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/install"
	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/json"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"
)

type objectCase struct {
	Name   string         `json:"name"`
	Spec   map[string]any `json:"spec"`
	Old    map[string]any `json:"old"`
	Object string         `json:"object"`
	Broken []string       `json:"broken"`
}

type ruleCase struct {
	Rule  string `json:"rule"`
	Self  string `json:"self"`
	Holds bool   `json:"holds"`
}

var differences int

func differs(format string, args ...any) {
	differences++
	fmt.Printf("DIFFERS "+format+"\n", args...)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func readJSON(path string, into any) {
	data, err := os.ReadFile(path)
	must(err)
	must(json.Unmarshal(data, into))
}

func readCRD(path string) *v1.CustomResourceDefinition {
	data, err := os.ReadFile(path)
	must(err)
	var crd v1.CustomResourceDefinition
	must(yaml.UnmarshalStrict(data, &crd))
	v1.SetDefaults_CustomResourceDefinition(&crd)
	v1.SetDefaults_CustomResourceDefinitionSpec(&crd.Spec)
	return &crd
}

func checkAccepted(scheme *runtime.Scheme, path string, crd *v1.CustomResourceDefinition) {
	var internal apiextensions.CustomResourceDefinition
	must(scheme.Convert(crd, &internal, nil))
	internal.Status.StoredVersions = []string{"v1"}
	for _, fault := range validation.ValidateCustomResourceDefinition(context.Background(), &internal) {
		differs("%s is refused: %v", path, fault)
	}
}

func structural(props *v1.JSONSchemaProps) *schema.Structural {
	var internal apiextensions.JSONSchemaProps
	must(v1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(props, &internal, nil))
	result, err := schema.NewStructural(&internal)
	must(err)
	return result
}

// brokenFields lists the fields whose rules the object breaks, sorted.
func brokenFields(s *schema.Structural, object, old map[string]any) []string {
	validator := cel.NewValidator(s, true, celconfig.PerCallLimit)
	var before any
	if old != nil {
		before = old
	}
	faults, _ := validator.Validate(context.Background(), nil, s, object, before, math.MaxInt64)
	set := map[string]bool{}
	for _, fault := range faults {
		if fault.Field == "<nil>" {
			fault.Field = ""
		}
		set[fault.Field] = true
	}
	fields := []string{}
	for field := range set {
		fields = append(fields, field)
	}
	sort.Strings(fields)
	return fields
}

func checkObject(path string, s *schema.Structural, c objectCase) {
	name := c.Object
	if name == "" {
		name = "x"
	}
	object := func(spec map[string]any) map[string]any {
		if spec == nil {
			return nil
		}
		return map[string]any{"apiVersion": "v1", "kind": "K", "metadata": map[string]any{"name": name}, "spec": spec}
	}
	want := append([]string{}, c.Broken...)
	sort.Strings(want)
	if got := brokenFields(s, object(c.Spec), object(c.Old)); !reflect.DeepEqual(got, want) {
		differs("%s: %s: broken %v, expected %v", path, c.Name, got, want)
	}
}

func main() {
	scheme := runtime.NewScheme()
	install.Install(scheme)
	paths, err := filepath.Glob("crds/*.yaml")
	must(err)
	var objects map[string][]objectCase
	readJSON("crds/cases.json", &objects)
	judged := 0
	for _, path := range paths {
		crd := readCRD(path)
		checkAccepted(scheme, path, crd)
		s := structural(crd.Spec.Versions[0].Schema.OpenAPIV3Schema)
		for _, c := range objects[filepath.Base(path)] {
			checkObject(path, s, c)
			judged++
		}
	}
	var rules []ruleCase
	readJSON("src/kube/cel-cases.json", &rules)
	for _, c := range rules {
		field := v1.JSONSchemaProps{Type: "string", XValidations: v1.ValidationRules{{Rule: c.Rule}}}
		s := structural(&v1.JSONSchemaProps{Type: "object", Properties: map[string]v1.JSONSchemaProps{"a": field}})
		if holds := len(brokenFields(s, map[string]any{"a": c.Self}, nil)) == 0; holds != c.Holds {
			differs("rule %s for %s holds: %v", c.Rule, c.Self, holds)
		}
	}
	fmt.Printf("%d CRDs, %d objects, %d rules, %d differences\n", len(paths), judged, len(rules), differences)
	if differences > 0 {
		os.Exit(1)
	}
}
