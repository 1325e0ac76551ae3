package checker

import (
	"testing"

	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMeshTimeoutIsSaid(t *testing.T) {
	route := func(http string) string {
		return "\n---\nkind: VirtualService\nmetadata: {name: orders}\nspec: {hosts: [orders], http: [" + http + "]}"
	}
	const to = "route: [{destination: {host: orders}}]"
	for _, c := range []struct{ name, objects, call, got, says string }{
		{"none on the only route", route("{" + to + "}"), "status: 504", "HTTP 200 OK", "the route of VirtualService orders has no timeout"},
		{"none on any", route("{match: [{uri: {prefix: /a}}], " + to + "}, {" + to + "}"), "status: 504", "HTTP 200 OK", "no route of VirtualService orders has a timeout"},
		{"another", route("{match: [{uri: {prefix: /a}}], timeout: 1s, " + to + "}, {name: rest, timeout: 500ms, " + to + "}"), `expect: [{that: soon, true: "answers.all(a, a.ms < 300)"}]`, "after 1000 ms", "a request is given up by route 1 of VirtualService orders after 1s, by route rest of VirtualService orders after 500ms (timeout)"},
		{"too short", route("{timeout: 1s, " + to + "}"), "times: 1", "HTTP 504 Gateway Timeout for request 1 of 2", "a request is given up by the route of VirtualService orders after 1s (timeout)"},
		{"no route", "", "status: 504", "HTTP 200 OK", "no VirtualService of namespace shop is for host orders, so there is no timeout"},
		{"not about time", route("{" + to + "}"), "times: 1", "HTTP 500 Internal Server Error", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var m meshObjects
			require.NoError(t, meshRead(&m, meshShop+c.objects))
			check, err := decodeMesh(t, `calls: [{that: x, url: "http://orders/", from: cluster, `+c.call+`}, {that: y, url: "http://orders/", from: cluster}]`)
			require.NoError(t, err)
			assert.Equal(t, c.says, m.saidOf("shop", &check.Calls[0], labs.Finding{Got: c.got}, labs.Finding{}).Because)
			assert.Empty(t, m.saidOf("shop", &check.Calls[0], labs.Finding{Got: c.got, Because: "Service orders has no ready pod"}, labs.Finding{}).Because, "something nearer is known")
		})
	}
}

func TestMeshCopiesAreSaid(t *testing.T) {
	for objects, says := range map[string]string{
		"retries: {attempts: 2, retryOn: 5xx}":                        "the route of VirtualService orders repeats up to 2 times (retries, retryOn 5xx)",
		"retries: {attempts: 2}":                                      "the route of VirtualService orders repeats up to 2 times (retries, retryOn not said)",
		"mirror: {host: orders, subset: v2}":                          "the route of VirtualService orders sends copies of 100 percent to orders (subset v2) (mirror)",
		"mirrors: [{destination: {host: b}, percentage: {value: 5}}]": "the route of VirtualService orders sends copies of 5 percent to b (mirror)",
		"timeout: 1s": "no route of VirtualService orders has retries or a mirror",
	} {
		var m meshObjects
		require.NoError(t, meshRead(&m, meshShop+"\n---\nkind: VirtualService\nmetadata: {name: orders}\nspec: {hosts: [orders], http: [{"+objects+", route: [{destination: {host: orders}}]}]}"))
		assert.Equal(t, says, m.saidCopies("shop", "orders").Because)
	}
}
