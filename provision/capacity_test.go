package provision

import (
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/kindlab/kindlab/content"
	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCapacity(t *testing.T) {
	host := func(cpus, memory int) Facts { return Facts{CPUs: cpus, Memory: int64(memory) * gib} }
	for _, c := range []struct {
		name  string
		f     Facts
		d     ClassDemand
		want  int
		first string
	}{
		{"a laptop, a cluster each", host(4, 8), ClassDemand{Isolation: labs.OwnCluster, Pods: 13}, 7, "memory"},
		{"two cores and much memory", host(2, 24), ClassDemand{Isolation: labs.OwnCluster, Pods: 13}, 5, "CPUs"},
		{"a server", host(32, 64), ClassDemand{Isolation: labs.OwnCluster, Pods: 13}, 66, "memory"},
		{"too small for one", host(2, 1), ClassDemand{Isolation: labs.OwnCluster, Pods: 13}, 0, "memory"},
		{"a laptop, a namespace each", host(4, 8), ClassDemand{Isolation: labs.OwnNamespace, Pods: 13}, 16, "CPUs"},
		{"a server, a namespace each", host(32, 64), ClassDemand{Isolation: labs.OwnNamespace, Pods: 13}, 104, "pods"},
		{"little memory, a namespace each", host(32, 4), ClassDemand{Isolation: labs.OwnNamespace, Pods: 13}, 7, "memory"},
		{"one core, a namespace each", host(1, 4), ClassDemand{Isolation: labs.OwnNamespace, Pods: 13}, 0, "CPUs"},
		{"own machines", host(1, 1), ClassDemand{Isolation: labs.OwnMachine, Pods: 13}, -1, ""},
		{"memory is not known", Facts{CPUs: 2}, ClassDemand{Isolation: labs.OwnCluster, Pods: 13}, 5, "CPUs"},
		{"nothing is known", Facts{}, ClassDemand{Isolation: labs.OwnCluster, Pods: 13}, -1, ""},
	} {
		n, first := Capacity(c.f, c.d)
		assert.Equal(t, c.want, n, c.name)
		assert.Equal(t, c.first, first, c.name)
	}
	for _, i := range []labs.Isolation{labs.OwnCluster, labs.OwnNamespace} {
		plain, _ := Capacity(host(64, 64), ClassDemand{Isolation: i, Pods: 13})
		mesh, _ := Capacity(host(64, 64), ClassDemand{Isolation: i, Pods: 13, Mesh: true})
		more, _ := Capacity(host(64, 64), ClassDemand{Isolation: i, Pods: 60})
		assert.Less(t, mesh, plain, "%s: a proxy in each pod takes something", i)
		assert.Less(t, more, plain, "%s: so do more pods", i)
	}
}

func TestJudgeClass(t *testing.T) {
	levels := func(fs []Finding) map[string]Level {
		out := map[string]Level{}
		for _, f := range fs {
			out[f.Name] = f.Level
			assert.Equal(t, f.Level == Good, f.Fix == "", "%s: what is wrong has a fix", f.Name)
		}
		return out
	}
	laptop := Facts{CPUs: 4, Memory: 8 * gib}
	for _, c := range []struct {
		name string
		d    ClassDemand
		want map[string]Level
	}{
		{"a few", ClassDemand{Isolation: labs.OwnCluster, Attendees: 3, Pods: 13}, map[string]Level{"memory for the class": Good, "CPUs for the class": Good}},
		{"as many as go", ClassDemand{Isolation: labs.OwnCluster, Attendees: 7, Pods: 13}, map[string]Level{"memory for the class": Good, "CPUs for the class": Good, "CPU requests of the class": Warn}},
		{"one too many", ClassDemand{Isolation: labs.OwnCluster, Attendees: 8, Pods: 13}, map[string]Level{"memory for the class": Fail, "CPUs for the class": Good}},
		{"far too many", ClassDemand{Isolation: labs.OwnCluster, Attendees: 30, Pods: 13}, map[string]Level{"memory for the class": Fail, "CPUs for the class": Fail}},
		{"in one cluster", ClassDemand{Isolation: labs.OwnNamespace, Attendees: 16, Pods: 13}, map[string]Level{"memory for the class": Good, "CPUs for the class": Good, "pods for the class": Good}},
		{"too many in one cluster", ClassDemand{Isolation: labs.OwnNamespace, Attendees: 17, Pods: 13}, map[string]Level{"memory for the class": Good, "CPUs for the class": Fail, "pods for the class": Good}},
		{"with a quota of few pods", ClassDemand{Isolation: labs.OwnNamespace, Attendees: 100, Pods: 13, Most: 3}, map[string]Level{"memory for the class": Good, "CPUs for the class": Good, "pods for the class": Good}},
		{"their own machines", ClassDemand{Isolation: labs.OwnMachine, Attendees: 500, Pods: 13}, map[string]Level{}},
	} {
		assert.Equal(t, c.want, levels(JudgeClass(laptop, c.d)), c.name)
	}
	findings := JudgeClass(laptop, ClassDemand{Isolation: labs.OwnCluster, Attendees: 8, Pods: 13})
	assert.Equal(t, "8.5 GiB of 8.0 GiB for 8 attendees", findings[0].Found)
	assert.Equal(t, "this host can carry 7 attendees (its memory): list no more in class.yaml, or take a larger host, or use isolation: namespace, with which it can carry 16", findings[0].Fix)
	assert.Empty(t, JudgeClass(Facts{}, ClassDemand{Isolation: labs.OwnCluster, Attendees: 8}), "what cannot be seen is not judged")
}

func TestStartPods(t *testing.T) {
	front := "---\ntitle: T\ngoal: G\nminutes: 1\nneeds: [cluster]\n---\n# T\n"
	c, err := labs.Load(fstest.MapFS{
		"course.yaml": {Data: []byte("title: T\ngoal: G\nlabs: [one, two]\n")}, "README.md": {Data: []byte("# T\n")},
		"one/lab.md": {Data: []byte(front)}, "two/lab.md": {Data: []byte(front)},
		"one/start/cluster/a.yaml": {Data: []byte("kind: Pod\n---\nkind: Deployment\nspec: {replicas: 3}\n---\n# nothing\n---\nkind: Service\n")},
		"one/start/cluster/b.yaml": {Data: []byte("kind: StatefulSet\n---\nkind: Deployment\nspec: {replicas: 0}\n")},
	}, "course")
	require.NoError(t, err)
	n, err := StartPods(c.Labs)
	require.NoError(t, err)
	assert.Equal(t, 5, n)
	n, err = StartPods(nil)
	require.NoError(t, err)
	assert.Zero(t, n)

	fsys, err := fs.Sub(content.Courses(), "docker-to-helm")
	require.NoError(t, err)
	c, err = labs.Load(fsys, "docker-to-helm")
	require.NoError(t, err)
	n, err = StartPods(c.Labs)
	require.NoError(t, err)
	assert.Equal(t, 13, n, "as many as the memory was measured with")
}
