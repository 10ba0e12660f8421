mod provider_libvirt;
