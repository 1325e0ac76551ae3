package machine

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// full are options with everything in use.
func full() Options {
	o := Default()
	o.From, o.SHA256 = "https://example.com/dl/kindlab?v=1&os=linux", strings.Repeat("ab", 32)
	o.Hub, o.Code = "http://192.0.2.7:8480", "abcd-efgh"
	return o
}

// A cloudConfig is what we use of cloud-init; a key that it does not know is an error.
type cloudConfig struct {
	PackageUpdate bool     `yaml:"package_update"`
	Packages      []string `yaml:"packages"`
	Groups        []string `yaml:"groups"`
	Users         []any    `yaml:"users"`
	WriteFiles    []struct {
		Path        string `yaml:"path"`
		Content     string `yaml:"content"`
		Permissions string `yaml:"permissions"`
	} `yaml:"write_files"`
	RunCmd [][]string `yaml:"runcmd"`
}

func cloudInit(t *testing.T, o Options) cloudConfig {
	t.Helper()
	data, err := CloudInit(o)
	require.NoError(t, err)
	require.True(t, bytes.HasPrefix(data, []byte("#cloud-config\n")), "cloud-init looks at the first line")
	var c cloudConfig
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	require.NoError(t, d.Decode(&c), "%s", data)
	return c
}

func TestCloudInit(t *testing.T) {
	c := cloudInit(t, full())
	assert.Contains(t, c.Packages, "docker.io")
	units := map[string]string{}
	for _, f := range c.WriteFiles {
		units[filepath.Base(f.Path)] = f.Content
		if strings.HasSuffix(f.Path, ".env") {
			assert.Equal(t, "0600", f.Permissions, "the code is nobody else's business")
		}
	}
	want, err := Unit(full())
	require.NoError(t, err)
	assert.Equal(t, string(want), units["kindlab.service"], "the same unit as `kindlab machine unit` prints")
	assert.Equal(t, "KINDLAB_HUB=http://192.0.2.7:8480\nKINDLAB_CODE=abcd-efgh\n", units["join.env"])
	assert.Contains(t, units["99-kindlab.conf"], "max_user_instances = 512")
	assert.Contains(t, c.RunCmd, []string{"systemctl", "enable", "--now", "--no-block", "kindlab.service"})

	plain := cloudInit(t, Default())
	assert.Len(t, plain.WriteFiles, 2, "without a hub nothing about one")
	for _, cmd := range plain.RunCmd {
		assert.NotContains(t, cmd, "curl", "nothing is fetched unless it is asked for")
	}
}

func TestRefusesWhatWouldNotBePlain(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"root":                func(o *Options) { o.User = "root" },
		"user with a newline": func(o *Options) { o.User = "a\nb" },
		"binary":              func(o *Options) { o.Binary = "/opt/$(id)" },
		"port":                func(o *Options) { o.Port = 80 },
		"quote in an address": func(o *Options) { o.From = `https://example.com/"; id` },
		"no sum":              func(o *Options) { o.SHA256 = "" },
		"no scheme":           func(o *Options) { o.Hub = "192.0.2.7:8480" },
		"no code":             func(o *Options) { o.Code = "" },
		"code for a shell":    func(o *Options) { o.Code = "$(id)" },
	} {
		t.Run(name, func(t *testing.T) {
			o := full()
			change(&o)
			_, err := CloudInit(o)
			assert.Error(t, err)
			_, err = Unit(o)
			assert.Error(t, err)
		})
	}
}

// TestUnits reads the units as systemd does: sections of Key=Value.
func TestUnits(t *testing.T) {
	known := map[string][]string{
		"[Unit]": {"Description", "Wants", "After", "Requires", "StartLimitIntervalSec", "StartLimitBurst", "ConditionPathExists"},
		"[Service]": {"Type", "User", "SupplementaryGroups", "WorkingDirectory", "ExecStart", "ExecStartPost", "Restart", "RestartSec", "EnvironmentFile",
			"KillSignal", "TimeoutStopSec", "NoNewPrivileges", "ProtectSystem", "ProtectKernelModules", "ProtectControlGroups", "RestrictSUIDSGID", "LockPersonality"},
		"[Install]": {"WantedBy"},
	}
	for _, name := range []string{"kindlab.service", "kindlab-join.service"} {
		data, err := render(name, full())
		require.NoError(t, err)
		section, sections := "", []string{}
		for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
			line := lines.Text()
			switch key, value, ok := strings.Cut(line, "="); {
			case line == "", strings.HasPrefix(line, "#"):
			case strings.HasPrefix(line, "["):
				section = line
				sections = append(sections, line)
			case assert.True(t, ok, "%s: %s", name, line):
				assert.NotEmpty(t, value, "%s: %s", name, line)
				assert.True(t, slices.Contains(known[section], key), "%s: %s in %s", name, key, section)
			}
		}
		assert.Equal(t, []string{"[Unit]", "[Service]", "[Install]"}, sections, name)
	}
}

// TestUnitsBySystemd has systemd itself look, where it is there.
func TestUnitsBySystemd(t *testing.T) {
	verify, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("there is no systemd-analyze here")
	}
	dir := t.TempDir()
	o := full()
	o.Binary = "/bin/true" // it looks whether programs are there
	o.User = "daemon"
	var paths []string
	for _, name := range []string{"kindlab.service", "kindlab-join.service"} {
		data, err := render(name, o)
		require.NoError(t, err)
		paths = append(paths, filepath.Join(dir, name))
		require.NoError(t, os.WriteFile(paths[len(paths)-1], data, 0o644))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "docker.service"), []byte("[Service]\nExecStart=/bin/true\n"), 0o644))
	cmd := exec.CommandContext(t.Context(), verify, append([]string{"verify", "--man=no"}, paths...)...)
	cmd.Env = append(os.Environ(), "SYSTEMD_UNIT_PATH="+dir+":")
	out, err := cmd.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, dir) || strings.Contains(line, "kindlab") {
			assert.Fail(t, "systemd says", line)
		}
	}
	if err != nil {
		t.Logf("systemd-analyze: %v\n%s", err, out) // other units of this machine are not our concern
	}
}
