package checker

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	api "istio.io/api/networking/v1alpha3"
	"sigs.k8s.io/yaml"
)

func TestMeshRouteTakesAnother(t *testing.T) {
	for _, c := range []struct {
		earlier, later string
		takes          bool
	}{
		{"{}", "{uri: {exact: /a}}", true},
		{"{uri: {prefix: /}}", "{}", true},
		{"{uri: {prefix: /}}", "{uri: {regex: .*}}", true},
		{"{uri: {prefix: /a}}", "{}", false},
		{"{uri: {prefix: /a}}", "{uri: {exact: /a}}", true},
		{"{uri: {prefix: /a}}", "{uri: {prefix: /ab}}", true},
		{"{uri: {prefix: /a}}", "{uri: {regex: /a.*}}", false},
		{"{uri: {prefix: /ab}}", "{uri: {prefix: /a}}", false},
		{"{uri: {exact: /a}}", "{uri: {prefix: /a}}", false},
		{"{uri: {exact: /a}}", "{uri: {exact: /a}, method: {exact: GET}}", true},
		{"{uri: {exact: /a}, method: {exact: GET}}", "{uri: {exact: /a}}", false},
		{"{uri: {regex: /a+}}", "{uri: {regex: /a+}}", true},
		{"{uri: {prefix: /A}}", "{uri: {prefix: /ab}}", false},
		{"{uri: {prefix: /A}, ignoreUriCase: true}", "{uri: {prefix: /ab}}", true},
		{"{uri: {prefix: /a}}", "{uri: {prefix: /ab}, ignoreUriCase: true}", false},
		{"{headers: {a: {exact: b}}}", "{headers: {A: {exact: b}, c: {prefix: d}}}", true},
		{"{headers: {a: {exact: b}}}", "{headers: {a: {prefix: b}}}", false},
		{"{headers: {a: {exact: b}}}", "{headers: {a: {exact: b2}}}", false},
		{"{headers: {a: {exact: b}}}", "{queryParams: {a: {exact: b}}}", false},
		{"{withoutHeaders: {a: {exact: b}}}", "{headers: {a: {exact: b}}}", false},
		{"{headers: {a: {}}}", "{headers: {a: {exact: b}}}", false},
		{"{port: 80}", "{port: 81}", false},
		{"{port: 80}", "{port: 80, sourceLabels: {app: a}}", true},
		{"{sourceLabels: {app: a}}", "{sourceLabels: {app: b}}", false},
		{"{sourceNamespace: a}", "{}", false},
		{"{gateways: [mesh]}", "{gateways: [door]}", false},
		{"{gateways: [mesh]}", "{}", false},
		{"{gateways: [mesh, door]}", "{gateways: [door]}", true},
		{"{}", "{gateways: [door]}", true},
		{"{scheme: {exact: https}, authority: {exact: a}}", "{scheme: {exact: https}}", false},
	} {
		t.Run(c.earlier+" and "+c.later, func(t *testing.T) {
			var earlier, later api.HTTPMatchRequest
			require.NoError(t, yaml.UnmarshalStrict([]byte(c.earlier), &earlier))
			require.NoError(t, yaml.UnmarshalStrict([]byte(c.later), &later))
			assert.Equal(t, c.takes, takes(&earlier, &later))
		})
	}
}
