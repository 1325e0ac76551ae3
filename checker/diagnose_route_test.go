package checker

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestRouteRule(t *testing.T) {
	plain := routeRequest{&httpCheck{Headers: map[string]string{"x-user": "anna"}}, "web.test", "/app/x", "GET"}
	for name, c := range map[string]struct{ rules, lacks string }{
		"any":                         {`[{}]`, ""},
		"a prefix":                    {`[{matches: [{path: {type: PathPrefix, value: /app}}]}]`, ""},
		"a prefix with a slash":       {`[{matches: [{path: {value: /app/}}]}]`, ""},
		"a prefix of half an element": {`[{matches: [{path: {type: PathPrefix, value: /ap}}]}]`, "has no rule for the path /app/x, only for /ap"},
		"the root":                    {`[{matches: [{}]}]`, ""},
		"exact":                       {`[{matches: [{path: {type: Exact, value: /app}}, {path: {type: Exact, value: /}}]}]`, "has no rule for the path /app/x, only for /app and /"},
		"an expression":               {`[{matches: [{path: {type: RegularExpression, value: "/[a-z]+"}}]}]`, ""},
		"another method":              {`[{matches: [{method: POST}]}]`, "takes / by the method POST, and the request is a GET"},
		"a header in another case":    {`[{matches: [{headers: [{name: X-User, value: anna}]}]}]`, ""},
		"another header":              {`[{matches: [{headers: [{name: x-user, value: bert}]}]}]`, "takes / with the header x-user: bert, which the request does not have"},
		"the second rule":             {`[{matches: [{method: POST}]}, {matches: [{path: {value: /app}}]}]`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"rules": jsonable(decoded(t, c.rules))}}}
			rule, lacks := plain.rule(&o)
			assert.Equal(t, c.lacks == "", rule != nil)
			if rule == nil {
				assert.Equal(t, c.lacks, lacks)
			}
		})
	}
}
