package checker

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRefused(t *testing.T) {
	const spec = `refused:
  create: {apiVersion: v1, kind: Pod, spec: {size: large}}
  because: exceeded quota
  accepted: {apiVersion: v1, kind: Pod, spec: {size: small}}`
	for name, c := range map[string]struct {
		large, small string // what the cluster says to each; "" when it takes it
		because      string // "" when the check passes
	}{
		"for the reason":      {"exceeded quota: few", "", ""},
		"taken":               {"", "", "no rule of namespace lab forbids it (expected: exceeded quota)"},
		"for another reason":  {"violates PodSecurity", "", "it is refused for this: violates PodSecurity"},
		"everything, as well": {"exceeded quota: few", "exceeded quota: none", "the rule refuses too much: exceeded quota: none"},
	} {
		t.Run(name, func(t *testing.T) {
			k, err := checkOf(t, spec)
			require.NoError(t, err)
			ctx, target := serveCluster{create: func(r *http.Request, body string) (int, string) {
				assert.Equal(t, "All", r.URL.Query().Get("dryRun"), "nothing is made")
				assert.Contains(t, body, "kindlab-try-", "it has no name of its own")
				says := c.small
				if strings.Contains(body, "large") {
					says = c.large
				}
				if says == "" {
					return http.StatusCreated, ""
				}
				return http.StatusForbidden, says
			}}.start(t)
			for range 2 { // a look leaves the check as it was
				found, err := k.look(ctx, target)
				require.NoError(t, err)
				if c.because == "" {
					assert.Empty(t, found)
					continue
				}
				require.Len(t, found, 1)
				assert.Equal(t, c.because, found[0].Because)
			}
			assert.NotContains(t, k.(*refusedCheck).Create, "metadata")
		})
	}
}

func TestRefusedOfAKindThatTheClusterDoesNotKnow(t *testing.T) {
	k, err := checkOf(t, `refused: {create: {apiVersion: example.com/v1, kind: Widget}, because: size, accepted: {apiVersion: example.com/v1, kind: Widget}}`)
	require.NoError(t, err)
	ctx, target := serveCluster{}.start(t)
	found, err := k.look(ctx, target)
	require.NoError(t, err)
	require.Len(t, found, 1)
	assert.Equal(t, "the cluster has no kind Widget in example.com/v1", found[0].Because)
}
