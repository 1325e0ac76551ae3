package checker

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestFunctionsOfKubernetes has those that validating policies have, and CEL's own lists.
func TestFunctionsOfKubernetes(t *testing.T) {
	vars := map[string]any{"object": map[string]any{"spec": map[string]any{"memory": "64Mi", "hosts": []any{"a", "b"}, "url": "https://example.com:8443/x"}}}
	for _, text := range []string{
		`quantity(object.spec.memory).isLessThan(quantity("1Gi"))`,
		`object.spec.hosts.isSorted() && object.spec.hosts.indexOf("b") == 1`,
		`url(object.spec.url).getPort() == "8443"`,
		`"v12".find("[0-9]+") == "12"`,
		`ip("10.0.0.1").family() == 4 && cidr("10.0.0.0/8").containsIP("10.0.0.1")`,
		`semver("1.2.3").isLessThan(semver("1.10.0"))`,
		`!format.dns1123Label().validate("a-b").hasValue()`,
		`object.spec.hosts.all(i, h, h == object.spec.hosts[i])`,
		`[3, 1, 2].sort() == [1, 2, 3] && sets.contains([1, 2], [2])`,
		`object.?spec.?nothing.orValue("none") == "none"`,
	} {
		e, _, err := compile(text, []string{"object"})
		require.NoError(t, err, text)
		v, err := e.eval(t.Context(), vars)
		require.NoError(t, err, text)
		assert.Equal(t, true, v.Value(), text)
	}
}
