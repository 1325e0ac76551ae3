//go:build e2e && unix

package main

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// killedAfterEveryStep: a class that is made at once, and one whose making is killed
// after each line of its progress, are the same in the end. Between the two all of the
// first is taken away, but for the cluster: it is given to `down` as one that was there
// before.
func (r *room) killedAfterEveryStep(t *testing.T) {
	r.run(t, exitSolved, "class", "up")
	atOnce := r.snapshot(t, r.cluster, "e2e-ada", "e2e-ben")
	r.seesAll(t, atOnce)

	admin, err := os.ReadFile(r.admin(r.cluster))
	require.NoError(t, err)
	there := filepath.Join(r.dir, "cache", "there.yaml")
	require.NoError(t, os.WriteFile(there, admin, 0o600))
	r.write(t, sharedRoom+"\nkubeconfig: cache/there.yaml\nregistry: "+registryAddress(t))
	r.run(t, exitSolved, "class", "down", "--everything")
	assert.Empty(t, r.objects(t, there, "e2e-ada", "e2e-ben"), "down leaves nothing in a cluster that stays")
	assert.NoDirExists(t, r.own())
	r.write(t, sharedRoom)

	killed := 0
	for {
		up := r.start(t, "class", "up")
		require.Eventually(t, func() bool {
			return up.ended() || strings.Count(up.out.String(), "✓ ") > killed
		}, patience, time.Millisecond)
		if up.ended() {
			require.Zero(t, exitCode(up.err), up.out.String())
			break
		}
		up.kill()
		killed++
	}
	assert.Greater(t, killed, 8, "steps that it was killed after")
	assert.Equal(t, atOnce, r.snapshot(t, r.cluster, "e2e-ada", "e2e-ben"))
	r.untouched(t)
}

// seesAll shows that a snapshot has what it is for.
func (r *room) seesAll(t *testing.T, s map[string]string) {
	for _, key := range []string{
		"Namespace //e2e-ada-web", "ResourceQuota /e2e-ada-web/kindlab", "LimitRange /e2e-ada-web/kindlab", "NetworkPolicy /e2e-ada-web/kindlab",
		"RoleBinding /e2e-ada-web/kindlab", "ServiceAccount /kindlab-class/e2e-ben", "ConfigMap /e2e-ben-web/start", "Namespace //kindlab-class",
		"file class/" + r.cluster + "/kube/" + r.cluster + "-e2e-ben-web.yaml", "hand-out", "links", "people",
	} {
		assert.NotEmpty(t, s[key], key)
	}
}

func registryAddress(t *testing.T) string {
	return "localhost:" + tool(t, "docker", "inspect", "-f", `{{(index (index .NetworkSettings.Ports "5000/tcp") 0).HostPort}}`, "kindlab-registry")
}

// moreNames: who is new in class.yaml gets a place, and nobody else another one.
func (r *room) moreNames(t *testing.T) {
	config := r.admin(r.cluster)
	before, links := r.uids(t, config), r.links(t)
	r.write(t, strings.Replace(strings.Replace(sharedRoom,
		"Ben}", "Ben}, {id: e2e-eve, name: '<script>window.ran=1</script>'}, {id: e2e-seat-1}, {id: e2e-seat-2}", 1),
		"Iris}", `Iris}, {id: e2e-ivo, name: '<img src=x onerror="window.ran=1">'}`, 1))
	r.run(t, exitSolved, "class", "up")
	after, all := r.uids(t, config), r.links(t)
	for name, uid := range before {
		assert.Equal(t, uid, after[name], name)
	}
	assert.Len(t, all.Tokens, len(links.Tokens)+4)
	assert.Equal(t, links.Code, all.Code)
	for id, token := range links.Tokens {
		assert.Equal(t, token, all.Tokens[id], id)
	}
	st := r.status(t)
	assert.Len(t, st, 5)
	for id, a := range st {
		assert.True(t, a.Ready, "%s: %s", id, a.Detail)
	}
}

// uids are the namespaces and accounts of attendees, and which they are.
func (r *room) uids(t *testing.T, config string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for line := range strings.Lines(r.must(t, config, "get", "namespaces,serviceaccounts", "-A", "-l", "kindlab.attendee",
		"-o", `jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.uid}{"\n"}{end}`)) {
		name, uid, _ := strings.Cut(strings.TrimSpace(line), " ")
		out[name] = uid
	}
	return out
}

// snapshot is all that `up` makes for attendees, without what differs each time. In
// one with several clusters, nothing tells whose it is.
func (r *room) snapshot(t *testing.T, cluster string, attendees ...string) map[string]string {
	t.Helper()
	out := r.objects(t, r.admin(cluster), attendees...)
	require.NoError(t, filepath.WalkDir(r.dir, func(path string, e fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(r.dir, path)
		if err != nil || e.IsDir() || strings.HasPrefix(rel, "cache/") || strings.HasPrefix(e.Name(), ".tmp-") ||
			strings.Contains(e.Name(), ".db") { // of SQLite, as many files as it likes
			return err
		}
		out["file "+strings.TrimPrefix(rel, "state/")] = "is there"
		return nil
	}))
	for _, name := range attendees {
		config, err := os.ReadFile(r.own("kube", cluster+"-"+name+"-web.yaml"))
		require.NoError(t, err)
		out["kubeconfig "+name] = secrets.ReplaceAllString(string(config), "$1 …")
		out["rights "+name] = r.must(t, r.own("kube", cluster+"-"+name+"-web.yaml"), "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")
	}
	l := r.links(t)
	page, err := os.ReadFile(r.own("handout.html"))
	require.NoError(t, err)
	text := regexp.MustCompile(`(?s)<svg.*?</svg>`).ReplaceAllString(string(page), "")
	require.NotEmpty(t, l.Code)
	text = strings.ReplaceAll(text, l.Code, "CODE")
	var who []string
	for id, token := range l.Tokens {
		require.NotEmpty(t, token, id)
		require.Equal(t, 2, strings.Count(text, token), "%s's link is in the hand-out, to click and to read", id)
		text = strings.ReplaceAll(text, token, "TOKEN")
		who = append(who, id)
	}
	slices.Sort(who)
	out["hand-out"], out["links"] = text, strings.Join(who, " ")
	people, err := json.Marshal(r.status(t))
	require.NoError(t, err)
	out["people"] = string(people)
	return out
}

// secrets differ each time.
var secrets = regexp.MustCompile(`(token:|client-certificate-data:|client-key-data:|certificate-authority-data:|server:) \S+`)

// objects are those of kindlab in a cluster, and those in the namespaces of attendees.
func (r *room) objects(t *testing.T, config string, attendees ...string) map[string]string {
	t.Helper()
	out := map[string]string{}
	keep := func(list string, ours func(namespace string) bool) {
		var got struct{ Items []map[string]any }
		require.NoError(t, json.Unmarshal([]byte(list), &got))
		for _, o := range got.Items {
			meta := o["metadata"].(map[string]any)
			namespace, _ := meta["namespace"].(string)
			if !ours(namespace) {
				continue
			}
			for _, name := range []string{"uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"} {
				delete(meta, name)
			}
			delete(o, "status")
			if notes, ok := meta["annotations"].(map[string]any); ok && notes["kindlab.started"] != nil {
				notes["kindlab.started"] = "at some time"
			}
			text, err := json.MarshalIndent(o, "", " ")
			require.NoError(t, err)
			out[o["kind"].(string)+" /"+namespace+"/"+meta["name"].(string)] = string(text)
		}
	}
	keep(r.must(t, config, "get", "-o", "json", "-l", "app.kubernetes.io/managed-by=kindlab",
		"namespaces,clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings"), func(string) bool { return true })
	keep(r.must(t, config, "get", "-o", "json", "-A", "resourcequotas,limitranges,networkpolicies,roles,rolebindings,serviceaccounts,configmaps,daemonsets"),
		func(namespace string) bool {
			return namespace == "kindlab-class" || namespace == "kindlab-system" || slices.ContainsFunc(attendees, func(a string) bool { return namespace == a+"-web" })
		})
	return out
}
