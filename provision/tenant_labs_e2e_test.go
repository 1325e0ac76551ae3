//go:build e2e

package provision

import (
	"cmp"
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/clientcmd"
)

func ownToken(t *testing.T, file string) string {
	c, err := clientcmd.BuildConfigFromFlags("", file)
	require.NoError(t, err)
	return c.BearerToken
}

// TestTenantLabs does labs with an attendee's own kubeconfig, as the pages say: those of the
// first course, and of the mesh those that need the most rights; KINDLAB_TEST_LABS=. does
// all, or those that the regular expression fits.
func TestTenantLabs(t *testing.T) {
	for _, tool := range []string{"kubectl", "helm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(tool + " is not on the PATH")
		}
	}
	which := regexp.MustCompile(cmp.Or(os.Getenv("KINDLAB_TEST_LABS"), "^docker-to-helm/|^service-mesh/(start|gateway)$"))
	r := newRoom(t)
	names := []string{"docker-to-helm"}
	if r.mesh {
		names = append(names, "service-mesh")
	}
	for _, name := range names {
		c := course(t, name)
		for _, template := range c.Labs {
			if !template.Wants("cluster") || NotOffered(template, true) != "" || !which.MatchString(name+"/"+template.ID) {
				continue
			}
			t.Run(name+"/"+template.ID, func(t *testing.T) {
				g := &guest{Environment: r.place("lou")}
				require.NoError(t, g.Attach(t.Context()))
				t.Cleanup(func() { assert.NoError(t, g.RemoveAttendee(context.Background())) })
				lab := g.own(t, c, template.ID)
				require.NoError(t, g.StartLab(t.Context(), c.ID, lab))
				require.NoError(t, g.WaitStart(t.Context(), lab))
				for _, task := range lab.Tasks {
					g.do(t, c.ID, lab, task)
				}
			})
		}
	}
}

// do does a task: its files, its commands, the author's solution. What is answered in the
// page is left out.
func (g *guest) do(t *testing.T, course string, lab *labs.Lab, task *labs.Task) {
	run := func(text string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		c := exec.CommandContext(ctx, "sh", "-eu", "-c", text)
		c.Dir = g.LabFolder(course, lab.ID)
		c.Env = append(os.Environ(), "KUBECONFIG="+g.LabKubeconfig(lab.ID), "HELM_NAMESPACE="+g.Namespace(lab.ID))
		out, err := c.CombinedOutput()
		return string(out), err
	}
	for _, b := range task.Blocks {
		switch {
		case b.Kind == labs.SaveAs:
			require.NoError(t, g.SaveFile(course, lab.ID, b.File, []byte(b.Text)))
		case b.Kind != labs.Command || b.NoRun:
		case b.Background:
			c := exec.Command("sh", "-c", b.Text)
			c.Env = append(os.Environ(), "KUBECONFIG="+g.LabKubeconfig(lab.ID))
			c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			require.NoError(t, c.Start())
			t.Cleanup(func() { _ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL); _ = c.Wait() })
		default:
			out, err := run(b.Text)
			if b.Fails {
				assert.Error(t, err, "%s: %s", task.ID, b.Text)
				assert.NotContains(t, out, "(Forbidden)", "it fails for the reason that the page gives")
			} else {
				require.NoError(t, err, "%s: %s\n%s", task.ID, b.Text, out)
			}
		}
	}
	solution, ok := lab.Solution(task.ID)
	if !ok || strings.Contains(solution, "kindlab answer") {
		return
	}
	out, err := run(solution)
	require.NoError(t, err, "%s: the solution\n%s", task.ID, out)
}
