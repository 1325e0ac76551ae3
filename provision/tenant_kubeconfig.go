package provision

import (
	"context"
	"errors"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const (
	// minToken is the shortest time that Kubernetes gives a token for.
	minToken = 10 * time.Minute
	// tokenLife is how long the kubeconfigs are valid that Up, StartLab and Reset write.
	tokenLife = time.Hour
)

// TenantKubeconfig is a kubeconfig for the attendee's own account, with the lab's namespace:
// where the cluster is, how to know it, and a token, nothing of the administrator's. The
// token is good until until, which the cluster decides: valid is asked for, and at least
// ten minutes. It ends at once when the attendee is removed. Ask for another in time.
//
// It fails when the Environment has no Tenant, or the attendee has no account (Up and
// StartLab make it).
func (e *Environment) TenantKubeconfig(ctx context.Context, lab string, valid time.Duration) (data []byte, until time.Time, err error) {
	if e.Tenant == nil {
		return nil, until, errors.New("making a kubeconfig for an attendee: this one is administrator of an own cluster")
	}
	kube, err := e.clientset()
	if err != nil {
		return nil, until, err
	}
	cluster, err := e.apiServer()
	if err != nil {
		return nil, until, err
	}
	seconds := int64(max(valid, minToken).Seconds())
	token, err := kube.CoreV1().ServiceAccounts(ClassNamespace).CreateToken(ctx, e.Attendee,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}, metav1.CreateOptions{})
	if err != nil {
		return nil, until, fmt.Errorf("asking for a token of %s: %w", e.Attendee, err)
	}
	if data, err = tenantConfig(cluster, e.Attendee, e.Namespace(lab), token.Status.Token); err != nil {
		return nil, until, fmt.Errorf("writing the kubeconfig of %s: %w", e.Attendee, err)
	}
	return data, token.Status.ExpirationTimestamp.Time, nil
}

// RenewKubeconfig writes the lab's kubeconfig file, [Environment.LabKubeconfig], with a new
// token of TenantKubeconfig. Programs that have the file open read the old one to its end.
func (e *Environment) RenewKubeconfig(ctx context.Context, lab string, valid time.Duration) (until time.Time, err error) {
	data, until, err := e.TenantKubeconfig(ctx, lab, valid)
	if err != nil {
		return until, err
	}
	if err := WriteFile(e.LabKubeconfig(lab), data); err != nil {
		return until, fmt.Errorf("writing the lab's kubeconfig: %w", err)
	}
	return until, nil
}

// apiServer is where the cluster is, from the administrator's kubeconfig.
func (e *Environment) apiServer() (*clientcmdapi.Cluster, error) {
	config, err := clientcmd.LoadFromFile(e.Kubeconfig())
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	current := config.Contexts[config.CurrentContext]
	if current == nil || config.Clusters[current.Cluster] == nil {
		return nil, fmt.Errorf("kubeconfig %s has no current context with a cluster", e.Kubeconfig())
	}
	// With the certificate itself in it, in place of a path that others do not have.
	config.Contexts, config.AuthInfos = nil, nil
	if err := clientcmdapi.FlattenConfig(config); err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	return config.Clusters[current.Cluster], nil
}

// tenantConfig writes a kubeconfig in which nothing is but what is given.
func tenantConfig(cluster *clientcmdapi.Cluster, attendee, namespace, token string) ([]byte, error) {
	config := clientcmdapi.NewConfig()
	config.Clusters["kindlab"] = &clientcmdapi.Cluster{Server: cluster.Server, TLSServerName: cluster.TLSServerName, ProxyURL: cluster.ProxyURL,
		CertificateAuthorityData: cluster.CertificateAuthorityData, InsecureSkipTLSVerify: cluster.InsecureSkipTLSVerify}
	config.AuthInfos[attendee] = &clientcmdapi.AuthInfo{Token: token}
	config.Contexts[namespace] = &clientcmdapi.Context{Cluster: "kindlab", AuthInfo: attendee, Namespace: namespace}
	config.CurrentContext = namespace
	return clientcmd.Write(*config)
}

// kubeconfigOwner is the attendee of a kubeconfig of tenantConfig; "" for another one, and
// when the file cannot be read.
func kubeconfigOwner(file string) string {
	config, err := clientcmd.LoadFromFile(file)
	if err != nil {
		return ""
	}
	for name, user := range config.AuthInfos {
		if user.Token != "" {
			return name
		}
	}
	return ""
}

// whoAmI is the name of a service account that kindlab itself is in the cluster; "" when it
// is somebody else.
func whoAmI(ctx context.Context, kube kubernetes.Interface) (string, error) {
	r, err := kube.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("asking the cluster who we are: %w", err)
	}
	return accountName(r.Status.UserInfo.Username), nil
}
