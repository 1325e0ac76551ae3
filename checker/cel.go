package checker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	celref "github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/ext"
	"github.com/kindlab/kindlab/labs"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apiserver/pkg/cel/library"
)

// celCheck: an expression over one Kubernetes object and others beside it. When
// object has no name, one object for which the expression is true is enough.
type celCheck struct {
	Object ref            `yaml:"object" doc:"The object that the expression calls object; without a name, one for which it is true is enough." required:"true"`
	With   map[string]ref `yaml:"with" doc:"More variables, each a list of objects."`
	True   string         `yaml:"true" doc:"CEL that must be true." required:"true"`
	Got    string         `yaml:"got" doc:"CEL that makes the text of what there is instead."`
	Look   string         `yaml:"look" doc:"Where to look, such as a command."`
}

// A ref names a Kubernetes object, or by labels several.
type ref struct {
	APIVersion string            `yaml:"apiVersion" doc:"Such as v1 or apps/v1." required:"true"`
	Kind       string            `yaml:"kind" doc:"Such as Pod." required:"true"`
	Name       string            `yaml:"name" doc:"The object's name."`
	Labels     map[string]string `yaml:"labels" doc:"Labels that the objects have, instead of a name."`
	Namespace  string            `yaml:"namespace" doc:"The lab's when it is not given."`
}

func (c *celCheck) validate() error {
	if err := c.Object.validate(); err != nil {
		return fmt.Errorf("object: %w", err)
	}
	for name, r := range c.With {
		if !regexp.MustCompile(`^[a-z][A-Za-z0-9]*$`).MatchString(name) || name == "object" {
			return fmt.Errorf("with: the variable %q: use letters and digits, beginning with a small letter, and not object", name)
		}
		if err := r.validate(); err != nil {
			return fmt.Errorf("with: %s: %w", name, err)
		}
	}
	_, _, err := c.compile()
	return err
}

// compile makes programs of True and of Got, which is nil when empty.
func (c *celCheck) compile() (isTrue, got *expression, err error) {
	return compilePair(c.True, c.Got, append(slices.Sorted(maps.Keys(c.With)), "object"))
}

func (c *celCheck) look(ctx context.Context, t *Target) ([]labs.Finding, error) {
	isTrue, got, err := c.compile()
	if err != nil {
		return nil, err
	}
	k, err := kubeOf(ctx, t)
	if err != nil {
		return nil, err
	}
	of := c.Object.in(t.Namespace)
	found, err := k.objects(ctx, of)
	if err != nil || len(found) == 0 {
		return missing(ctx, k, t, of, err)
	}
	vars := map[string]any{}
	for name, r := range c.With {
		beside, err := k.objects(ctx, r.in(t.Namespace))
		if err != nil {
			if f, err := missing(ctx, k, t, r, err); f != nil || err != nil {
				return f, err
			}
		}
		vars[name] = plainObjects(beside)
	}
	var first labs.Finding
	for i, o := range found {
		vars["object"] = o.Object
		f, holds, err := evaluate(ctx, isTrue, got, vars)
		if err != nil || holds {
			return nil, err
		}
		if i == 0 {
			first = c.explain(ctx, k, t, o, f)
		}
	}
	return []labs.Finding{first}, nil
}

// explain adds the cause, when the expression is about how an object fares.
func (c *celCheck) explain(ctx context.Context, k *kube, t *Target, o unstructured.Unstructured, f labs.Finding) labs.Finding {
	if strings.Contains(c.True, "status") {
		f = because(f, whyNotReady(ctx, k, t, o.GetKind(), o.GetNamespace(), o.GetName()))
	}
	if c.Look != "" {
		f.Look = c.Look
	} else if f.Look == "" {
		f.Look = command(t, "kubectl get "+resourceWord(o.GetKind())+" "+o.GetName(), o.GetNamespace(), "-o yaml")
	}
	return f
}

func plainObjects(list []unstructured.Unstructured) []any {
	out := make([]any, len(list))
	for i, o := range list {
		out[i] = o.Object
	}
	return out
}

// maxCost bounds what an expression may do, in CEL's own units. It is enough for
// thousands of objects.
const maxCost = 1_000_000

// An expression is compiled CEL.
type expression struct {
	text    string
	program cel.Program
}

// celBase is CEL with the functions that Kubernetes users know from validating
// policies: see "Common Expression Language in Kubernetes" in its documentation. It
// never changes, and making it takes longer than most expressions.
var celBase = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		ext.Strings(), ext.Lists(), ext.Sets(), ext.Math(), ext.TwoVarComprehensions(),
		library.URLs(), library.Regex(), library.Lists(), library.Quantity(), library.IP(), library.CIDR(), library.Format(), library.SemverLib(),
		cel.OptionalTypes(), cel.CrossTypeNumericComparisons(true), cel.DefaultUTCTimeZone(true),
	)
})

// compile makes a program of CEL over the named variables, which hold decoded JSON.
func compile(text string, variables []string) (*expression, *cel.Type, error) {
	base, err := celBase()
	if err != nil {
		return nil, nil, fmt.Errorf("preparing CEL: %w", err)
	}
	var options []cel.EnvOption
	for _, name := range variables {
		options = append(options, cel.Variable(name, cel.DynType))
	}
	env, err := base.Extend(options...)
	if err != nil {
		return nil, nil, fmt.Errorf("preparing CEL: %w", err)
	}
	ast, issues := env.Compile(text)
	if err := issues.Err(); err != nil {
		return nil, nil, celError(issues)
	}
	program, err := env.Program(ast, cel.CostLimit(maxCost), cel.InterruptCheckFrequency(100))
	if err != nil {
		return nil, nil, err
	}
	return &expression{text, program}, ast.OutputType(), nil
}

// celError is the first mistake in an expression on one line, without CEL's drawing of it.
func celError(issues *cel.Issues) error {
	if errs := issues.Errors(); len(errs) > 0 {
		e := errs[0]
		return fmt.Errorf("line %d, letter %d of the expression: %s", e.Location.Line(), e.Location.Column()+1, e.Message)
	}
	return issues.Err()
}

// compilePair compiles what must be true and what tells what there is instead,
// which may be empty.
func compilePair(truth, got string, variables []string) (isTrue, instead *expression, err error) {
	if strings.TrimSpace(truth) == "" {
		return nil, nil, errors.New("true is missing: the CEL that must be true")
	}
	isTrue, kind, err := compile(truth, variables)
	if err != nil {
		return nil, nil, fmt.Errorf("true: %w", err)
	}
	if kind.Kind() != types.BoolKind && kind.Kind() != types.DynKind {
		return nil, nil, fmt.Errorf("true: the expression makes %s, not true or false", kind)
	}
	if got == "" {
		return isTrue, nil, nil
	}
	if instead, _, err = compile(got, variables); err != nil {
		return nil, nil, fmt.Errorf("got: %w", err)
	}
	return isTrue, instead, nil
}

// evaluate reports whether the expression holds and, when it does not, what
// there is instead. A field that is not there makes a finding. The error says
// that the evaluation was cut off: ctx ended, or it cost too much.
func evaluate(ctx context.Context, isTrue, got *expression, vars map[string]any) (f labs.Finding, holds bool, err error) {
	f.Expected = clip(isTrue.text, 160)
	v, err := isTrue.eval(ctx, vars)
	var absent *absentError
	switch {
	case errors.As(err, &absent):
		f.Got = absent.Error()
	case err != nil:
		return f, false, err
	case v == types.True:
		return f, true, nil
	case v == types.False:
		f.Got = "false"
	default:
		f.Got = celText(v)
	}
	if got != nil {
		if v, err := got.eval(ctx, vars); err == nil {
			// The author's own words say more than the expression; the check's sentence says what is expected.
			f.Expected, f.Got = "", celText(v)
		}
	}
	return f, false, nil
}

// An absentError says why an expression has no value: a field is not there, or
// is of another type.
type absentError struct{ what string }

func (e *absentError) Error() string { return e.what }

func (e *expression) eval(ctx context.Context, vars map[string]any) (celref.Val, error) {
	v, _, err := e.program.ContextEval(ctx, vars)
	switch {
	case err == nil:
		return v, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("evaluating %s: %w", clip(e.text, 60), ctx.Err())
	case strings.Contains(err.Error(), "cost limit"), strings.Contains(err.Error(), "interrupted"):
		return nil, fmt.Errorf("evaluating %s: it costs too much", clip(e.text, 60))
	}
	what := err.Error()
	if key, found := strings.CutPrefix(what, "no such key: "); found {
		what = "no field " + key
	} else if strings.Contains(what, "index out of bounds") {
		what = "a list that is too short"
	}
	return nil, &absentError{clip(what, 160)}
}

// celText is a value of CEL as text.
func celText(v celref.Val) string {
	if s, ok := v.(types.String); ok {
		return clip(string(s), 200)
	}
	if j, err := cel.ValueAsProto(v); err == nil && j.GetStringValue() != "" {
		return clip(j.GetStringValue(), 200)
	}
	return clip(bare(nativeOf(v)), 200)
}

// nativeOf makes plain Go of a value of CEL.
func nativeOf(v celref.Val) any {
	switch t := v.(type) {
	case interface{ Value() any }:
		return t.Value()
	}
	return v
}
